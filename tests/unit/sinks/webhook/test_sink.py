"""What mutes, what is posted, what an answer means."""

import hashlib
import hmac
import json
import re
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from runtime.errors import Misconfigured, Retry
from schemas.commands import DesiredState
from schemas.testing import START_TIME, make_record
from sinks.settings import WebhookSettings
from sinks.webhook import active_alerts, inhibition, payload
from sinks.webhook.delivery_state import DeliveryState
from sinks.webhook.http import WebhookClient
from sinks.webhook.initial_state import default_partition
from tests.e2e.support.receiver import Receiver

HOUR = timedelta(hours=1)
PAGE = Path(__file__).parents[4] / "docs" / "alerts.md"
PARTITION = ("fleet.alerts", 0)


def alert(name="a", revision=0, transition="raised", **fields):
    about = {"rule": "fan-slow", "component": "1/f", "host": "h1", "severity": "warning", "category": "thermal"}
    return make_record("Alert", id=name, revision=revision, transition=transition, **(about | fields))


def silence(*matchers, starts_at=START_TIME, ends_at=START_TIME + HOUR):
    made = [make_record("Matcher", name=name, pattern=pattern) for name, pattern in matchers]
    return make_record("Silence", id="s", matchers=made, starts_at=starts_at, ends_at=ends_at)


@pytest.mark.parametrize(
    ("matchers", "at", "mutes"),
    [
        pytest.param([("host", "h1")], START_TIME, True, id="its host"),
        pytest.param([("host", "h2")], START_TIME, False, id="another host"),
        pytest.param([("host", "h*"), ("rule", "fan-?low")], START_TIME, True, id="two patterns that match"),
        pytest.param([("host", "h*"), ("rule", "temp*")], START_TIME, False, id="two of which one does not"),
        pytest.param([("rack", "r[1]")], START_TIME, True, id="a label"),
        pytest.param([("site", "*")], START_TIME, False, id="a label that is not there"),
        pytest.param([("host", "h1")], START_TIME - timedelta(microseconds=1), False, id="before it begins"),
        pytest.param([("host", "h1")], START_TIME + HOUR, False, id="at its end"),
    ],
)
def test_a_silence_mutes_what_matches_while_it_holds(matchers, at, mutes):
    found = inhibition.muted_by(alert(labels={"rack": "r1", "host": "other"}), [silence(*matchers)], {}, at)

    assert (["silence s"] if mutes else []) == found


def presence(rule, host, **fields):
    told = make_record("PresenceAlert", rule=rule, host=host)
    return make_record("PresenceState", producer="p", source="redfish", alerts=[told], **fields)


@pytest.mark.parametrize(
    ("known", "unheard"),
    [
        pytest.param(presence("target-unreachable", "h1"), ["h1"], id="a target that cannot be reached"),
        pytest.param(presence("target-auth-failed", "h1"), ["h1"], id="a target that refuses the login"),
        pytest.param(presence("targets-failing", "p", grouped=["h1", "h2"]), ["h1", "h2"], id="many of them"),
        pytest.param(presence("producer-silent", "p"), ["h1", "h2", "h3"], id="all of a silent producer's"),
    ],
)
def test_targets_that_are_not_heard_are_found(known, unheard):
    targets = [make_record("TargetStatus", source="redfish", host=f"h{n}", producer="p") for n in (1, 2, 3)]
    targets.append(make_record("TargetStatus", source="libvirt", host="h1", producer="q"))
    found = inhibition.inhibited_targets([known], targets, DesiredState())

    assert [("redfish", host) for host in unheard] == sorted(found)
    assert [f"{known['alerts'][0]['rule']} {known['alerts'][0]['host']}"] == inhibition.muted_by(
        alert(), [], found, START_TIME
    )
    assert [] == inhibition.muted_by(alert(category="domains"), [], found, START_TIME)
    assert [] == inhibition.muted_by(alert(category="heartbeats", rule="target-unreachable"), [], found, START_TIME)


def test_a_target_that_a_command_has_stopped_mutes_what_it_last_said():
    about = {"source": "redfish", "producer": "p", "status": "stopped"}
    targets = [
        make_record("TargetStatus", host="h1", stopped_by="ann", detail="stopped by ann: new fan", **about),
        make_record("TargetStatus", host="h2", stopped_by=None, detail="its producer was stopped", **about),
    ]
    command = make_record("Control", key="target:redfish:h1", desired="stopped", by="ann", reason="new fan")
    found = inhibition.inhibited_targets([], targets, DesiredState.from_records([command]))

    assert ["stopped by ann: new fan"] == inhibition.muted_by(alert(), [], found, START_TIME)
    assert [] == inhibition.muted_by(alert(category="domains"), [], found, START_TIME), "of another source"
    assert [] == inhibition.muted_by(alert(host="h2"), [], found, START_TIME), "its producer may be back in a moment"


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param([], id="no command"),
        pytest.param([("host:h2", "stopped")], id="a command about another host"),
        pytest.param([("source:libvirt", "stopped")], id="a command about another source"),
        pytest.param([("*", "stopped"), ("host:h1", "running")], id="a command that was taken back for it"),
    ],
)
def test_a_producer_that_forges_a_pause_mutes_nothing(commands):
    forged = make_record(
        "TargetStatus", source="redfish", host="h1", producer="q", status="stopped", stopped_by="ann", detail="forged"
    )
    desired = DesiredState.from_records(
        make_record("Control", key=key, desired=state, by="ann") for key, state in commands
    )

    assert {} == inhibition.inhibited_targets([], [forged], desired)


def test_whoever_takes_over_doubts_what_may_have_been_held_back():
    doubts = inhibition.MuteHistory()
    doubts.record(alert(rule="target-unreachable", category="heartbeats", host="h2", observed_at=START_TIME + HOUR))

    assert not doubts.may_have_muted(alert(started_at=START_TIME), [])
    assert doubts.may_have_muted(alert(host="h2", started_at=START_TIME), [])
    assert not doubts.may_have_muted(alert(host="h2", started_at=START_TIME + 2 * HOUR), [])
    assert doubts.may_have_muted(alert(started_at=START_TIME), [silence(("host", "h1"))])
    assert not doubts.may_have_muted(alert(started_at=START_TIME + HOUR), [silence(("host", "h1"))])


def test_an_end_is_told_to_whom_the_alert_was():
    ledger = DeliveryState()
    ledger.open_partition(PARTITION)
    end = alert("held", 1, "cleared")
    assert ledger.should_deliver(PARTITION, end, muted=True), "nothing is known of it: the receiver may know it"

    ledger.mark_held_back(PARTITION, alert("held"))
    assert not ledger.should_deliver(PARTITION, end, muted=False)

    ledger.mark_delivered(PARTITION, alert("told"))
    assert ledger.should_deliver(PARTITION, alert("told", 1, "cleared"), muted=True)

    ledger.restore(PARTITION, alert("doubtful"), delivered=False)
    assert ledger.should_deliver(PARTITION, alert("doubtful", 1, "cleared"), muted=True)
    assert ["doubtful"] == [each["id"] for _, each in ledger.due(lambda each: each["id"] == "held")]


def test_what_was_held_back_is_due_in_its_newest_revision_once():
    ledger = DeliveryState()
    ledger.open_partition(PARTITION)
    ledger.mark_delivered(PARTITION, alert())
    ledger.mark_held_back(PARTITION, alert(revision=1, transition="updated"))
    ledger.mark_held_back(PARTITION, alert(revision=2, transition="updated"))

    assert [] == list(ledger.due(lambda _: True))
    ((_, due),) = ledger.due(lambda _: False)
    assert 2 == due["revision"]
    ledger.mark_delivered(PARTITION, due)
    assert [] == list(ledger.due(lambda _: False))
    assert [due] == ledger.delivered_alerts()


def test_the_active_set_is_what_was_not_cleared_in_its_newest_revision():
    found = {}
    for each in (alert("a"), alert("b"), alert("a", 1, "updated"), alert("b", 1, "cleared"), alert("a")):
        active_alerts.apply_transition(found, each)

    assert {"a": alert("a", 1, "updated")} == found


def test_a_memory_tells_its_alerts_with_the_labels_of_the_target():
    old = make_record("ActiveAlert", id="o", rule="r", labels={"team": "x"}, revision=2)
    memory = make_record("AlertState", host="h1", source="device-rates", active=[old])
    targets = [
        make_record("TargetStatus", source=source, host="h1", labels={"at": source})
        for source in ("redfish", "libvirt")
    ]
    (told,) = active_alerts.alerts_from_state([memory], [], targets)

    assert {"at": "libvirt", "team": "x"} == told["labels"]
    assert ("o", 2, "updated", "h1") == (told["id"], told["revision"], told["transition"], told["host"])
    assert alert().keys() == told.keys()


@pytest.mark.parametrize(
    ("key", "number"),
    # Kafka's own test: UtilsTest.testMurmur2
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_a_hosts_partition_is_the_one_kafka_puts_it_on(key, number):
    assert (number & 0x7FFFFFFF) % 12 == default_partition(key, 12)


def test_alertmanager_gets_times_it_takes_even_from_a_clock_that_is_ahead():
    ahead = alert(
        transition="cleared", started_at=START_TIME + HOUR, observed_at=START_TIME + 2 * HOUR, cause="recovered"
    )
    ((said),) = json.loads(payload.alertmanager_body([ahead], START_TIME, "http://console/"))

    assert said["startsAt"] == said["endsAt"] == START_TIME.isoformat()
    assert "http://console/" == said["generatorURL"]
    assert "recovered" == said["annotations"]["cause"]


def test_labels_are_such_as_every_alertmanager_takes():
    labels = {"in-row": "7", "host": "other", "9x": "y", "__meta": "m", "empty": "", "ünï": "u"}
    found = payload.alertmanager_labels(alert(component="", labels=labels))

    assert {
        "alertname": "fan-slow", "host": "h1", "severity": "warning", "in_row": "7", "label_host": "other",
        "label_9x": "y", "label___meta": "m", "_n_": "u",
    } == found  # fmt: skip


def test_a_body_can_be_read_whatever_it_says():
    body = payload.json_body(alert(value=float("nan"), text="\ud800 größe", observed_at=START_TIME))

    read = json.loads(body)
    assert (None, "? größe", START_TIME.isoformat(), "a-0") == tuple(
        read[name] for name in ("value", "text", "observed_at", "idempotency_key")
    )


def test_a_signature_covers_time_and_body():
    signed = {payload.signature("k", *each) for each in (("1", b"a"), ("2", b"a"), ("1", b"b"))}

    assert 3 == len(signed)
    assert all(each.startswith("sha256=") and len(each) == 7 + 2 * hashlib.sha256().digest_size for each in signed)


def test_the_receiver_in_the_documentation_knows_what_is_genuine():
    (code,) = re.findall(r"```python\n(def is_genuine.*?)```", PAGE.read_text(), re.DOTALL)
    known = {"hmac": hmac, "hashlib": hashlib, "time": time}
    exec(code, known)

    def genuine(at_s, body, secret):
        stamp = str(int(at_s))
        headers = {"X-Rackstream-Timestamp": stamp, "X-Rackstream-Signature": payload.signature(secret, stamp, b"{}")}
        return known["is_genuine"](headers, body, "k")

    now_s = time.time()
    assert genuine(now_s, b"{}", "k")
    assert not genuine(now_s, b"[]", "k")
    assert not genuine(now_s, b"{}", "other")
    assert not genuine(now_s - 3600, b"{}", "k")


def settings(url, **more):
    return WebhookSettings.read(url=url, **more)


@pytest.mark.parametrize(
    ("status", "headers", "error", "says"),
    [
        pytest.param(401, {}, Misconfigured, "check RACKSTREAM_WEBHOOK_URL and its credentials", id="login refused"),
        pytest.param(404, {}, Misconfigured, "check RACKSTREAM_WEBHOOK_URL and its credentials", id="no such address"),
        pytest.param(302, {"Location": "http://127.0.0.1:9/"}, Misconfigured, "redirects are not", id="a redirect"),
        pytest.param(429, {"Retry-After": "7"}, Retry, "answers 429", id="too many"),
        pytest.param(500, {}, Retry, "answers 500", id="its own trouble"),
    ],
)
def test_an_answer_says_what_happens_next_and_no_message_tells_a_secret(status, headers, error, says):
    with Receiver(lambda _: (status, headers)) as receiver:
        poster = WebhookClient(settings(receiver.url.replace("//", "//user:pa55word@") + "/hooks/T0KEN"))
        with pytest.raises(error, match=says) as caught:
            poster.post(b"{}", {})
        poster.close()

    assert not [secret for secret in ("pa55word", "T0KEN", "dXNlcj") if secret in str(caught.value)]
    assert 1 == len(receiver.seen)
    assert receiver.seen[0].headers["Authorization"].startswith("Basic dXNlcj")
    if error is Retry and headers:
        assert 7 == caught.value.after_s


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("99999", 300.0), ("-3", 0.0), ("soon", None), ("nan", None)],
)
def test_a_wait_that_is_asked_for_is_believed_within_reason(said, seconds):
    with Receiver(lambda _: (503, {"Retry-After": said})) as receiver:
        poster = WebhookClient(settings(receiver.url))
        with pytest.raises(Retry) as caught:
            poster.post(b"{}", {})
        poster.close()

    assert seconds == caught.value.after_s


@pytest.mark.parametrize(
    ("alert_id", "header"),
    [
        pytest.param("0f-3", "0f-3-0", id="a plain id"),
        pytest.param("日本", "%E6%97%A5%E6%9C%AC-0", id="outside Latin-1"),
        pytest.param("größe", "gr%C3%B6%C3%9Fe-0", id="outside ASCII"),
        pytest.param("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1-0", id="a line break"),
        pytest.param("\ud800", "?-0", id="half a character"),
    ],
)
def test_any_alert_id_is_delivered(alert_id, header):
    key = payload.idempotency_key(alert(alert_id))
    with Receiver() as receiver:
        poster = WebhookClient(settings(receiver.url))
        assert poster.post(b"{}", {"Idempotency-Key": key}) is None
        poster.close()

    assert [header] == [post.headers["Idempotency-Key"] for post in receiver.taken]


def test_a_wait_may_be_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    with Receiver(lambda _: (503, {"Retry-After": date})) as receiver:
        poster = WebhookClient(settings(receiver.url))
        with pytest.raises(Retry) as caught:
            poster.post(b"{}", {})
        poster.close()

    assert 50 < caught.value.after_s <= 60


def test_a_connection_is_kept_and_opened_again_when_the_receiver_closed_it():
    answers = iter([(200, {}), (200, {"Connection": "close"}), (200, {}), None, (400, {})])
    with Receiver(lambda _: next(answers)) as receiver:
        poster = WebhookClient(settings(receiver.url, token="t0k3n"))
        assert [None, None, None] == [poster.post(b"{}", {}) for _ in range(3)]
        assert "answers 400" in poster.post(b"{}", {}), "the cut one is sent again"
        poster.close()

    assert {"Bearer t0k3n"} == {each.headers["Authorization"] for each in receiver.seen}


def test_only_a_certificate_that_is_trusted_is_spoken_to(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Receiver() as receiver:
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        url = receiver.url.replace("http:", "https:")
        stranger = WebhookClient(settings(url))
        with pytest.raises(Misconfigured, match=r"not trusted.*RACKSTREAM_WEBHOOK_CA"):
            stranger.post(b"{}", {})
        friend = WebhookClient(settings(url, ca=tmp_path / "ca.pem"))
        assert friend.post(b"{}", {}) is None
        friend.close()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"url": "ftp://x"}, "give http", id="no web address"),
        pytest.param(
            {"url": "http://x", "kind": "alertmanager", "secret": "k" * 16}, "does not verify signatures", id="a key"
        ),
        pytest.param({"url": "http://x/am", "kind": "alertmanager"}, "/api/v2/alerts", id="another path"),
        pytest.param({"url": "http://x", "token": "a\nb"}, "no HTTP header", id="a token of two lines"),
        pytest.param({"url": "http://x", "token": ""}, "token: empty", id="an empty token"),
        pytest.param({"url": "http://x", "secret": ""}, "secret: empty", id="an empty key"),
        pytest.param({"url": "http://x", "secret": " \n"}, "secret: empty", id="a blank key"),
        pytest.param({"url": "http://x", "secret": "k3y"}, "at least 16 characters", id="a short key"),
    ],
)
def test_settings_that_cannot_work_are_named(values, says):
    with pytest.raises(Misconfigured, match=says):
        WebhookSettings.read(**values)


def test_settings_show_no_secret():
    shown = repr(settings("http://ann:pa55@x/T0KEN", secret="k3y-of-the-webhook", token="t0k"))

    assert not [secret for secret in ("pa55", "T0KEN", "k3y", "t0k") if secret in shown]
