"""Alerts delivered over real HTTP from a real Kafka, whatever dies, is muted or answers strangely."""

import hashlib
import hmac
import itertools
import random
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from schemas.testing import make_record
from sinks.consuming import loop
from sinks.settings import WebhookSettings
from sinks.webhook import initial_state, silences
from sinks.webhook.sink import WebhookSink
from tests.e2e.support.parts import part, publish, records, running, until
from tests.e2e.support.receiver import Receiver, take
from tests.e2e.support.transitions import NOW, alert, cleared, silence

pytestmark = pytest.mark.kafka
NUMBERS = itertools.count()


@contextmanager
def sink(settings, url, **options):
    """A webhook sink in a thread, once it reads."""
    webhook_settings = WebhookSettings.read(url=url, **options)
    group = f"{settings.topic_prefix}webhook"
    webhook = WebhookSink(webhook_settings, settings, group)
    stop, ready = threading.Event(), threading.Event()

    def run():
        initial_state.commit_initial_offsets(settings, group)
        loop.run(webhook, settings, group=group, limits=webhook_settings.limits, stop=stop, ready=ready.set)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(ready.is_set)
    try:
        yield webhook
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def identities(receiver):
    return [(posted["id"], posted["revision"]) for posted in receiver.alerts()]


def test_a_new_receiver_is_told_what_is_active_and_then_each_transition(kafka):
    publish(kafka, "alerts", alert("over"), cleared("over"), alert("lasts"), alert("lasts", 1))
    long_ago = make_record(
        "ActiveAlert", id="old", rule="fan-slow", component="1/f", started_at=NOW, severity="warning"
    )
    publish(kafka, "state-alerts", make_record("AlertState", host="h1", source="raw-redfish", active=[long_ago]))
    with Receiver() as receiver, sink(kafka, receiver.url):
        until(lambda: len(receiver.taken) == 2)
        publish(kafka, "alerts", cleared("lasts", 2), alert("new", host="h2"))
        until(lambda: len(receiver.taken) == 4)

    assert [("lasts", 1), ("old", 0)] == sorted(identities(receiver)[:2])
    assert [("lasts", 2), ("new", 0)] == sorted(identities(receiver)[2:])
    first = receiver.taken[2]
    assert f"{first.json['id']}-{first.json['revision']}" == first.json["idempotency_key"]
    assert first.json["idempotency_key"] == first.headers["Idempotency-Key"]


def test_what_is_silenced_comes_when_the_silence_ends_and_an_end_always_comes(kafka):
    quiet = silence(("host", "h1"), ("rule", "temp*"))
    with Receiver() as receiver:
        with sink(kafka, receiver.url) as webhook:
            publish(kafka, "alerts", alert("known"))
            until(lambda: len(receiver.taken) == 1)
            silences.publish(kafka, quiet)
            until(lambda: webhook.muting_state.silences)
            publish(
                kafka, "alerts", alert("known", 1), alert("kept"), alert("brief"), cleared("brief"), cleared("known", 2)
            )
            until(lambda: len(receiver.taken) == 2)
        # Whoever takes over does not know what was held back by the one before, and tells it all the same.
        with sink(kafka, receiver.url):
            publish(kafka, "alerts", alert("other", host="h2"))
            until(lambda: len(receiver.taken) == 3)
            silences.publish(kafka, quiet | {"ends_at": datetime.now(UTC)})
            until(lambda: len(receiver.taken) == 4)
            publish(kafka, "alerts", cleared("kept"))
            until(lambda: len(receiver.taken) == 5)

    assert [("known", 0), ("known", 2), ("other", 0), ("kept", 0), ("kept", 1)] == identities(receiver)


def test_a_target_that_is_not_heard_mutes_what_its_own_source_says_of_it(kafka):
    unreachable = make_record(
        "PresenceAlert", id="u", rule="target-unreachable", host="h1", component="p", severity="warning", told_at=NOW,
        started_at=NOW,
    )  # fmt: skip
    publish(kafka, "state-presence", make_record("PresenceState", producer="p", source="redfish", alerts=[unreachable]))
    with Receiver() as receiver, sink(kafka, receiver.url):
        until(lambda: len(receiver.taken) == 1)
        publish(kafka, "alerts", alert("a"), alert("b", category="domains", rule="vm-crashed"))
        until(lambda: len(receiver.taken) == 2)
        publish(kafka, "state-presence", make_record("PresenceState", producer="p", source="redfish"))
        until(lambda: len(receiver.taken) == 3)

    assert [("u", 0), ("b", 0), ("a", 0)] == identities(receiver)


def test_bodies_are_signed_and_what_the_receiver_never_takes_goes_to_the_dead_letter(kafka):
    def answer(posted):
        return (422, {}) if posted.json["id"] == "bad" else (200, {})

    with Receiver(answer) as receiver, sink(kafka, receiver.url, secret="s3cret-of-the-webhook"):
        publish(kafka, "alerts", alert("a"), alert("bad"), alert("b"))
        (letter,) = until(lambda: records(kafka, "dead-letter"))
        until(lambda: len(receiver.taken) == 2)

    assert [("a", 0), ("b", 0)] == identities(receiver)
    assert "sink-webhook" == letter["stage"]
    assert "answers 422" in letter["detail"]
    posted = receiver.taken[0]
    signed = posted.headers["X-Rackstream-Timestamp"].encode() + b"." + posted.body
    expected = "sha256=" + hmac.new(b"s3cret-of-the-webhook", signed, hashlib.sha256).hexdigest()
    assert expected == posted.headers["X-Rackstream-Signature"]
    assert abs(time.time() - int(posted.headers["X-Rackstream-Timestamp"])) < 120


def test_alertmanager_is_told_again_what_is_active_and_when_it_ends(kafka):
    options = {"kind": "alertmanager", "repeat_s": 0.5}
    with Receiver() as receiver, sink(kafka, receiver.url, **options):
        publish(kafka, "alerts", alert("a", labels={"rack": "r1", "in-row": "7"}))
        until(lambda: len(receiver.taken) >= 3)
        publish(kafka, "alerts", cleared("a", labels={"rack": "r1", "in-row": "7"}))
        until(lambda: any("endsAt" in posted for posted in receiver.alerts()))

    *active, end = receiver.alerts()
    expected = {
        "alertname": "temperature-high", "host": "h1", "component": "1/a", "severity": "warning", "rack": "r1",
        "in_row": "7",
    }  # fmt: skip
    assert [expected] * len(receiver.alerts()) == [posted["labels"] for posted in receiver.alerts()]
    assert {"/api/v2/alerts"} == {request.path for request in receiver.taken}
    assert not [posted for posted in active if "endsAt" in posted]
    assert NOW + timedelta(seconds=1) >= datetime.fromisoformat(end["endsAt"]) >= NOW
    assert "a-1" == end["annotations"]["idempotency_key"]


def survives(kafka, *, kills, alerts, revisions):
    """Kills the sink (-9) under load, with a receiver that is busy or cuts the line now and then."""
    chance = random.Random(7)
    lock = threading.Lock()

    def answer(posted):
        with lock:
            luck = chance.random()
        if luck < 0.01:
            return 503, {"Retry-After": "0"}
        return None if luck < 0.02 else take(posted)

    with Receiver(answer) as receiver:
        url = {"RACKSTREAM_WEBHOOK_URL": receiver.url, "RACKSTREAM_LOG_LEVEL": "error"}
        webhook = part(kafka, "webhook", "sink", "webhook", "--name", f"t{next(NUMBERS)}-{int(time.time())}", **url)
        killed = 0
        with running(webhook) as supervisor:
            everything = [
                alert(f"a{n}", revision, "cleared" if revision == revisions - 1 else None, host=f"h{n % 7}")
                for revision in range(revisions)
                for n in range(alerts)
            ]
            pace = -(-len(everything) // (kills + 1))
            for first in range(0, len(everything), pace):
                at_least = len(receiver.taken) + chance.randrange(pace // 2)
                publish(kafka, "alerts", *everything[first : first + pace])
                until(
                    lambda at_least=at_least: len(receiver.taken) > at_least, tend=supervisor.run_periodic, every_s=0.01
                )
                if first + pace < len(everything):
                    killed += supervisor.kill("webhook") is not None
            expected = {(f"a{n}", revision) for n in range(alerts) for revision in range(revisions)}
            until(lambda: expected <= set(identities(receiver)), tend=supervisor.run_periodic, timeout_s=120)
    assert kills == killed
    return expected, receiver


def check(expected, receiver):
    deliveries = identities(receiver)
    news = list(dict.fromkeys(deliveries))
    print(f"{len(expected)} transitions, {len(deliveries) - len(news)} delivered again")
    assert expected == set(deliveries)
    by_alert = {}
    for name, revision in news:
        by_alert.setdefault(name, []).append(revision)
    assert [] == [name for name, revisions in by_alert.items() if revisions != sorted(revisions)]
    keys = {}
    for request in receiver.taken:
        keys.setdefault(request.headers["Idempotency-Key"], set()).add(request.body)
    assert {1} == {len(bodies) for bodies in keys.values()}
    assert len(expected) == len(keys)


def test_each_transition_arrives_in_the_order_of_its_alert_whenever_the_sink_is_killed(kafka):
    check(*survives(kafka, kills=3, alerts=80, revisions=5))


@pytest.mark.soak
def test_each_transition_arrives_after_twenty_kills(kafka):
    check(*survives(kafka, kills=20, alerts=300, revisions=20))
