"""The doctor's judgements where time matters, its walk, and its words. No network, no Kafka."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from producers.redfish.http.errors import message_ids
from rackstream.doctor import producers, report
from rackstream.doctor.check import DoctorCheck, duration_text, fail, ok, run_checks, skipped, warn
from rackstream.doctor.evidence import ReceivedHeartbeat
from rackstream.doctor.hypervisor import display_uri
from runtime.errors import Misconfigured
from schemas.testing import make_record

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def beat(name="p", source="redfish", *, age_s=5.0, **fields):
    record = make_record("Heartbeat", producer=name, source=source, interval_s=10.0, targets=3, **fields)
    return {name: ReceivedHeartbeat(record, NOW - timedelta(seconds=age_s))}


def status(name="up", **fields):
    return make_record("TargetStatus", source="redfish", host="a", producer="p", status=name,
                since=NOW - timedelta(minutes=7), **fields)  # fmt: skip


@pytest.mark.parametrize(
    ("known", "beats", "state", "seen"),
    [
        (status(), beat(), "ok", "p is running, last heartbeat 5 s ago, 3 targets"),
        (status(), beat(queued=7), "ok", "7 records waiting"),
        (status(), beat(dropped=2), "warn", "2 records dropped since its start"),
        (
            status(),
            beat(dropped=2, rejected=1),
            "warn",
            "2 records dropped since its start, 1 of them rejected by Kafka",
        ),
        (status(), beat(queued=7, spooled=4), "warn", "7 records waiting, 4 of them on its disk"),
        (status(), beat(age_s=720), "fail", "no heartbeat from p for 12 min"),
        (status(), beat(age_s=720, stopping=True), "fail", "p was stopped 12 min ago"),
        (status(), beat("q"), "fail", "p, which polled it, has sent no heartbeat for a long time"),
        (None, beat(age_s=720), "fail", "no producer of redfish is running"),
        (None, beat(), "fail", "no producer has ever polled this target; running: p"),
    ],
    ids=[
        "alive",
        "busy",
        "dropping",
        "rejecting",
        "spooling",
        "silent",
        "stopped",
        "forgotten",
        "none",
        "another file",
    ],
)
def test_the_producer_of_a_target(known, beats, state, seen):
    found = producers.check_producer("redfish", known, beats, NOW)

    assert state == found.state
    assert seen in found.observed
    assert (state != "ok") == bool(found.advice)


@pytest.mark.parametrize(
    ("known", "state", "seen"),
    [
        (status(), "ok", "up for 7 min"),
        (status("partial", detail="fans: HTTP 500"), "warn", "partial for 7 min: fans: HTTP 500"),
        (status("slow"), "warn", "slow"),
        (status("auth_failed"), "fail", "auth_failed for 7 min"),
        (status("stopped"), "fail", "stopped for 7 min"),
        (status("stopped", removed=True), "fail", "it was removed from the fleet file"),
        (None, "skipped", "never polled"),
    ],
    ids=["up", "partial", "slow", "refused", "stopped", "removed", "never"],
)
def test_how_a_target_stands(known, state, seen):
    found = producers.check_last_poll(known, NOW)

    assert (state, True) == (found.state, seen in found.observed)


def test_targets_of_a_silent_producer_are_unknown_and_the_worst_come_first():
    known = [
        status() | {"host": "up"},
        status("slow") | {"host": "slow"},
        status("unreachable", detail="no answer in time") | {"host": "down"},
        status() | {"host": "orphan", "producer": "q"},
        status("stopped", removed=True) | {"host": "gone"},
    ]
    found = producers.check_targets(known, [("redfish", "new"), ("redfish", "up")], beat(), NOW)

    assert "fail" == found.state
    assert (
        "redfish new: never polled",
        "redfish orphan: unknown, no heartbeat from q",
        "redfish down: unreachable, no answer in time",
        "redfish slow: slow",
    ) == found.details
    assert "rackstream doctor new" in found.advice


def test_ten_thousand_targets_are_told_as_the_worst_and_a_count():
    known = [status("unreachable") | {"host": f"h{number:05}"} for number in range(10_000)]
    found = producers.check_targets(known, [], beat(), NOW)

    assert producers.MAX_LISTED + 1 == len(found.details)
    assert "9980 more" in found.details[-1]


def test_a_clock_ahead_makes_records_of_the_future_and_one_behind_may_be_a_delay():
    ahead = producers.check_clock("p", NOW + timedelta(hours=2), NOW)
    behind = producers.check_clock("p", NOW - timedelta(hours=2), NOW)

    assert ("warn", "warn") == (ahead.state, behind.state)
    assert "2 h ahead of Kafka's" in ahead.observed
    assert "or its records waited that long" in behind.observed
    assert "ok" == producers.check_clock("p", NOW - timedelta(seconds=3), NOW).state


def test_a_check_waits_for_what_it_needs_and_is_left_out_where_that_failed():
    order = []

    def run(name, finding):
        def look():
            order.append(name)
            return finding

        return look

    found = run_checks([
        DoctorCheck("after", run("after", ok("")), ("first",)),
        DoctorCheck("first", run("first", warn("meh", "do"))),
        DoctorCheck("barred", run("barred", ok("")), ("broken",)),
        DoctorCheck("further", run("further", ok("")), ("barred",)),
        DoctorCheck("broken", run("broken", fail("no", "do"))),
        DoctorCheck("elsewhere", run("elsewhere", ok("")), ("not in the table",)),
    ])  # fmt: skip

    assert ["after", "first", "barred", "further", "broken", "elsewhere"] == list(found)
    assert order.index("first") < order.index("after")
    assert {"barred", "further"}.isdisjoint(order)
    assert ("skipped", "skipped") == (found["barred"].state, found["further"].state)
    assert "broken" in found["barred"].observed


def test_a_check_that_hangs_costs_no_more_than_its_limit():
    held = threading.Event()
    began_s = time.monotonic()
    found = run_checks(
        [
            DoctorCheck("hangs", lambda: held.wait(60) and ok(""), timeout_s=0.2, timeout_advice="look there"),
            DoctorCheck("quick", lambda: ok("fine")),
        ]
    )
    held.set()

    assert time.monotonic() - began_s < 30
    assert ("fail", "no answer within 0.2 s", "look there") == (
        found["hangs"].state, found["hangs"].observed, found["hangs"].advice,
    )  # fmt: skip
    assert "ok" == found["quick"].state


def test_an_error_of_ours_is_a_finding_and_any_other_does_not_end_the_rest():
    def misconfigured():
        raise Misconfigured("topics missing; create them")

    def wrong():
        raise ZeroDivisionError("with a secret")

    found = run_checks([DoctorCheck("ours", misconfigured), DoctorCheck("wrong", wrong)])

    assert ("fail", "topics missing", "create them") == (
        found["ours"].state,
        found["ours"].observed,
        found["ours"].advice,
    )
    assert ("warn", "check crashed: ZeroDivisionError") == (found["wrong"].state, found["wrong"].observed)


def test_data_stops_at_the_first_that_failed_and_the_others_are_named():
    found = {"port": ok(""), "login": fail("wrong password", "mend it"), "sink files": fail("stopped", "start it")}

    assert "login" == report.stopping_check(found)
    assert ("Data stops here: login: wrong password. Also failed: sink files", "mend it") == report.verdict(found)
    assert not report.is_healthy(found)


def test_what_is_not_reached_from_here_does_not_stop_data_that_arrives():
    found = {"port": fail("refused", "look"), "Kafka": ok(""), "records": ok("fresh")}

    assert None is report.stopping_check(found)
    assert report.verdict(found)[0].startswith("Data arrives in Kafka. From this machine, however: port: refused")
    assert not report.is_healthy(found)


def test_of_two_sources_each_is_judged_by_its_own_records():
    found = {
        "libvirt: port": fail("refused", "look"),
        "redfish: port": ok(""),
        "libvirt: records": skipped("no producer"),
        "redfish: records": ok("fresh"),
    }

    assert "libvirt: port" == report.stopping_check(found)


def test_what_was_not_looked_at_is_one_line_and_not_ten():
    found = run_checks(
        [
            DoctorCheck("port", lambda: fail("refused", "look")),
            DoctorCheck("TLS", lambda: ok(""), ("port",)),
            DoctorCheck("login", lambda: ok(""), ("TLS",)),
        ]
    )
    lines = list(report.render_lines("a", found, 80))

    assert "Skipped, because an earlier check failed: TLS, login" in lines
    assert 1 == sum("login" in line for line in lines)
    assert ["skipped", "skipped"] == [finding["state"] for finding in report.to_json("a", found)["findings"][1:]]


def test_lines_fit_and_nothing_in_them_steers_a_terminal():
    found = {"login": fail("refuses \x1b[2J " + "very " * 60 + "long", "do this"), "disk": ok("plenty")}
    lines = list(report.render_lines("a\x07b", found, 80))

    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert "What to do: do this" == lines[-1]


@pytest.mark.parametrize(
    ("seconds", "told"), [(40, "40 s"), (720, "12 min"), (7200, "2 h"), (86400 * 5, "5 d"), (-90, "-90 s")]
)
def test_lengths_of_time_are_told_as_people_do(seconds, told):
    assert told == duration_text(seconds)


def test_a_uri_is_shown_without_its_user_and_its_options():
    assert "qemu+ssh://kvm-1/system" == display_uri("qemu+ssh://root:secret@kvm-1/system?keyfile=/k&password=x")


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"error": {"code": "Base.1.8.GeneralError", "@Message.ExtendedInfo": [{"MessageId": "Oem.1.Locked"}]}}',
         ("Oem.1.Locked",)),
        (b'{"error": {"code": "IDRAC.2.8.RAC0218"}}', ("IDRAC.2.8.RAC0218",)),
        (b'{"error": {"code": "\\u001b[2J"}}', ()),
        (b'{"error": []}', ()),
        (b"<html>", ()),
        (b"[]", ()),
    ],
)  # fmt: skip
def test_ids_of_messages_are_taken_from_whatever_a_bmc_answers(body, ids):
    assert ids == message_ids(body)
