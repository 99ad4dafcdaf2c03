"""The doctor's judgements where time matters, its walk, and its words. No network, no Kafka."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from producers.redfish.http.errors import message_ids
from rackstream.doctor import producers, report
from rackstream.doctor.check import Check, ago, fail, ok, skipped, walk, warn
from rackstream.doctor.hypervisor import shown
from runtime.errors import Misconfigured
from schemas.testing import item

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def beat(name="p", source="redfish", *, age_s=5.0, **fields):
    record = item("Heartbeat", producer=name, source=source, interval_s=10.0, targets=3, **fields)
    return {name: (record, NOW - timedelta(seconds=age_s))}


def status(name="up", **fields):
    return item("TargetStatus", source="redfish", host="a", producer="p", status=name,
                since=NOW - timedelta(minutes=7), **fields)  # fmt: skip


@pytest.mark.parametrize(
    ("known", "beats", "state", "seen"),
    [
        (status(), beat(), "ok", "p lives, heard 5 s ago, 3 targets"),
        (status(), beat(queued=7), "ok", "7 records waiting"),
        (status(), beat(dropped=2), "warn", "it dropped 2 records"),
        (status(), beat(dropped=2, rejected=1), "warn", "2 records since it started, 1 of them refused by Kafka"),
        (status(), beat(queued=7, spooled=4), "warn", "7 records waiting, 4 of them on its disk"),
        (status(), beat(age_s=720), "fail", "p is silent since 12 min"),
        (status(), beat(age_s=720, stopping=True), "fail", "p was stopped 12 min ago"),
        (status(), beat("q"), "fail", "p, who polled it, has not been heard of for long"),
        (None, beat(age_s=720), "fail", "no producer of redfish runs"),
        (None, beat(), "fail", "no producer has ever polled this; p would"),
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
    found = producers.producer("redfish", known, beats, NOW)

    assert state == found.state
    assert seen in found.seen
    assert (state != "ok") == bool(found.do)


@pytest.mark.parametrize(
    ("known", "state", "seen"),
    [
        (status(), "ok", "up since 7 min"),
        (status("partial", detail="fans: HTTP 500"), "warn", "partial since 7 min: fans: HTTP 500"),
        (status("slow"), "warn", "slow"),
        (status("auth_failed"), "fail", "auth_failed since 7 min"),
        (status("stopped"), "fail", "stopped since 7 min"),
        (status("stopped", removed=True), "fail", "it was removed from the fleet file"),
        (None, "skipped", "never polled"),
    ],
    ids=["up", "partial", "slow", "refused", "stopped", "removed", "never"],
)
def test_how_a_target_stands(known, state, seen):
    found = producers.last_poll(known, NOW)

    assert (state, True) == (found.state, seen in found.seen)


def test_targets_of_a_silent_producer_are_unknown_and_the_worst_come_first():
    known = [
        status() | {"host": "up"},
        status("slow") | {"host": "slow"},
        status("unreachable", detail="no answer in time") | {"host": "down"},
        status() | {"host": "orphan", "producer": "q"},
        status("stopped", removed=True) | {"host": "gone"},
    ]
    found = producers.targets(known, [("redfish", "new"), ("redfish", "up")], beat(), NOW)

    assert "fail" == found.state
    assert (
        "redfish new: never polled",
        "redfish orphan: unknown, q is not heard",
        "redfish down: unreachable, no answer in time",
        "redfish slow: slow",
    ) == found.more
    assert "rackstream doctor new" in found.do


def test_ten_thousand_targets_are_told_as_the_worst_and_a_count():
    known = [status("unreachable") | {"host": f"h{number:05}"} for number in range(10_000)]
    found = producers.targets(known, [], beat(), NOW)

    assert producers.LISTED + 1 == len(found.more)
    assert "9980 more" in found.more[-1]


def test_a_clock_ahead_makes_records_of_the_future_and_one_behind_may_be_a_delay():
    ahead = producers.clock("p", NOW + timedelta(hours=2), NOW)
    behind = producers.clock("p", NOW - timedelta(hours=2), NOW)

    assert ("warn", "warn") == (ahead.state, behind.state)
    assert "2 h ahead of Kafka's" in ahead.seen
    assert "or its records waited so long" in behind.seen
    assert "ok" == producers.clock("p", NOW - timedelta(seconds=3), NOW).state


def test_a_check_waits_for_what_it_needs_and_is_left_out_where_that_failed():
    order = []

    def run(name, finding):
        def look():
            order.append(name)
            return finding

        return look

    found = walk([
        Check("after", run("after", ok("")), ("first",)),
        Check("first", run("first", warn("meh", "do"))),
        Check("barred", run("barred", ok("")), ("broken",)),
        Check("further", run("further", ok("")), ("barred",)),
        Check("broken", run("broken", fail("no", "do"))),
        Check("elsewhere", run("elsewhere", ok("")), ("not in the table",)),
    ])  # fmt: skip

    assert ["after", "first", "barred", "further", "broken", "elsewhere"] == list(found)
    assert order.index("first") < order.index("after")
    assert {"barred", "further"}.isdisjoint(order)
    assert ("skipped", "skipped") == (found["barred"].state, found["further"].state)
    assert "broken" in found["barred"].seen


def test_a_check_that_hangs_costs_no_more_than_its_limit():
    held = threading.Event()
    began_s = time.monotonic()
    found = walk([Check("hangs", lambda: held.wait(60) and ok(""), limit_s=0.2, late="look there"),
                  Check("quick", lambda: ok("fine"))])  # fmt: skip
    held.set()

    assert time.monotonic() - began_s < 30
    assert ("fail", "no answer within 0.2 s", "look there") == (
        found["hangs"].state, found["hangs"].seen, found["hangs"].do,
    )  # fmt: skip
    assert "ok" == found["quick"].state


def test_an_error_of_ours_is_a_finding_and_any_other_does_not_end_the_rest():
    def misconfigured():
        raise Misconfigured("topics missing; create them")

    def wrong():
        raise ZeroDivisionError("with a secret")

    found = walk([Check("ours", misconfigured), Check("wrong", wrong)])

    assert ("fail", "topics missing", "create them") == (found["ours"].state, found["ours"].seen, found["ours"].do)
    assert ("warn", "could not be looked at: ZeroDivisionError") == (found["wrong"].state, found["wrong"].seen)


def test_data_stops_at_the_first_that_failed_and_the_others_are_named():
    found = {"port": ok(""), "login": fail("wrong password", "mend it"), "sink files": fail("stopped", "start it")}

    assert "login" == report.stop(found)
    assert ("Where data stops: login: wrong password. After that: sink files", "mend it") == report.verdict(found)
    assert not report.healthy(found)


def test_what_is_not_reached_from_here_does_not_stop_data_that_arrives():
    found = {"port": fail("refused", "look"), "Kafka": ok(""), "records": ok("fresh")}

    assert None is report.stop(found)
    assert report.verdict(found)[0].startswith("Data arrives at Kafka all the same. From here, though: port: refused")
    assert not report.healthy(found)


def test_of_two_sources_each_is_judged_by_its_own_records():
    found = {
        "libvirt: port": fail("refused", "look"),
        "redfish: port": ok(""),
        "libvirt: records": skipped("no producer"),
        "redfish: records": ok("fresh"),
    }

    assert "libvirt: port" == report.stop(found)


def test_what_was_not_looked_at_is_one_line_and_not_ten():
    found = walk([Check("port", lambda: fail("refused", "look")), Check("TLS", lambda: ok(""), ("port",)),
                  Check("login", lambda: ok(""), ("TLS",))])  # fmt: skip
    lines = list(report.lines("a", found, 80))

    assert "Not looked at, for what comes before failed: TLS, login" in lines
    assert 1 == sum("login" in line for line in lines)
    assert ["skipped", "skipped"] == [finding["state"] for finding in report.as_plain("a", found)["findings"][1:]]


def test_lines_fit_and_nothing_in_them_steers_a_terminal():
    found = {"login": fail("refuses \x1b[2J " + "very " * 60 + "long", "do this"), "disk": ok("plenty")}
    lines = list(report.lines("a\x07b", found, 80))

    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert "What to do: do this" == lines[-1]


@pytest.mark.parametrize(
    ("seconds", "told"), [(40, "40 s"), (720, "12 min"), (7200, "2 h"), (86400 * 5, "5 d"), (-90, "-90 s")]
)
def test_lengths_of_time_are_told_as_people_do(seconds, told):
    assert told == ago(seconds)


def test_a_uri_is_shown_without_its_user_and_its_options():
    assert "qemu+ssh://kvm-1/system" == shown("qemu+ssh://root:secret@kvm-1/system?keyfile=/k&password=x")


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
