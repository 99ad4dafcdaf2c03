"""One producer over a fleet in which each BMC has another fault: what is said of each, and that the others go on."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from producers import run as produce
from producers.redfish.reader import CATEGORIES
from rackstream.local.broker import EmbeddedKafka
from rackstream.simulators.faults import InjectedFault
from rackstream.simulators.redfish import RedfishSimulator
from runtime import kafka, metrics, topics
from runtime.settings import KafkaSettings
from tests.e2e.support import fleets
from tests.e2e.support.parts import counter_value, records, until

pytestmark = pytest.mark.kafka

INTERVAL_S = 2.0
OFTEN = ("system", "thermal", "power")
SELDOM = {name: 3 * INTERVAL_S for name in CATEGORIES if name not in OFTEN}
HEALTHY = ("healthy-dell", "healthy-hpe", "healthy-lenovo")
FAULTS = {
    "dead": (InjectedFault.create("dead"), "unreachable", "refused"),
    "hang": (InjectedFault.create("hang"), "unreachable", "in time|time left|discovered"),
    "drip": (InjectedFault.create("drip"), "unreachable", "in time|time left|discovered"),
    "reset": (InjectedFault.create("reset"), "unreachable", "reset"),
    "truncated": (InjectedFault.create("truncated"), "unreachable", "cut off"),
    "garbage": (InjectedFault.create("garbage"), "unreachable", "not JSON"),
    "empty": (InjectedFault.create("empty"), "unreachable", "empty"),
    "404": (InjectedFault.create("404"), "unreachable", "404"),
    "5xx": (InjectedFault.create("5xx"), "unreachable", "503"),
    "401": (InjectedFault.create("401"), "auth_failed", "401"),
    "latency": (
        InjectedFault.create("latency", 2.2, "/Thermal"),
        "slow",
        "more than its interval|late, after other polls",
    ),
    "one-resource": (InjectedFault.create("5xx", 500, "/Power"), "partial", "500"),
    "sessions": (InjectedFault.create("sessions"), "up", ""),
    "leak": (InjectedFault.create("leak"), "up", ""),
    "expiry": (InjectedFault.create("expiry", 0.5), "up", ""),
}
"""Host → its fault, the status it ends up with, and words in that status's detail."""
PASSWORD = "canary-of-the-fleet-é"
PATIENCE_S = 45.0
SETTLED_S = 10.0
"""After which the healthy ones are looked at; a poll that hangs takes 5 s."""


@dataclass
class Seen:
    """One run."""

    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Host → its last status."""
    records: list[dict[str, Any]] = field(default_factory=list)
    from_s: float = 0.0
    to_s: float = 0.0
    polls: dict[str, float] = field(default_factory=dict)
    """Status → polls that ended so, by the producer's own counter."""
    history: list[str] = field(default_factory=list)
    """Statuses of the BMC that died for a while, in order."""
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Host → what its BMC was asked, after the producer ended."""
    alive: bool = False
    output: bytes = b""
    """All that was logged, and all that is on any topic."""


def polls() -> dict[str, float]:
    return {
        status: counter_value(metrics.POLLS, "redfish", status)
        for status in ("up", "slow", "partial", "auth_failed", "unreachable")
    }


@pytest.fixture(scope="module")
def seen(broker: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    directory = tmp_path_factory.mktemp("fleet")
    settings = KafkaSettings.read(
        bootstrap=broker.bootstrap, topic_prefix="fleet-faults.", partitions=2, data_dir=directory
    )
    topics.create(settings)
    topics.publish_schemas(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(fleets.PASSWORD, PASSWORD)
        yield run(settings, directory)


def run(settings: KafkaSettings, directory: Path) -> Seen:
    seen, before = Seen(), polls()
    hosts = [*HEALTHY, *FAULTS]
    with (
        RedfishSimulator(len(hosts), model="mix", username="root", password=PASSWORD) as simulator,
        capture_logs() as logs,
    ):
        # Of the mix's shapes, the healthy ones are dell, hpe and lenovo; the faulty ones are all.
        for place, (fault, _, _) in enumerate(FAULTS.values(), len(HEALTHY)):
            simulator.set_fault(place, fault)
        addresses = dict(zip(hosts, simulator.urls, strict=True))
        fleet = fleets.write(directory / "fleet.yaml", addresses, interval_s=INTERVAL_S, intervals=SELDOM)
        stop = threading.Event()
        producer = threading.Thread(target=produce.run, args=("redfish", fleet, settings, stop), daemon=True)
        producer.start()

        def statuses() -> list[dict[str, Any]]:
            assert producer.is_alive()
            return records(settings, "state-targets")

        def settled() -> bool:
            seen.statuses = {status["host"]: status for status in statuses()}
            expected = {host: status for host, (_, status, _) in FAULTS.items()}
            return expected.items() <= {host: record["status"] for host, record in seen.statuses.items()}.items()

        try:
            began_s = time.monotonic()
            seen.from_s = time.time()

            def since(seconds: float) -> bool:
                return time.monotonic() > began_s + seconds

            # What has not settled by then is told fault by fault.
            until(lambda: (settled() and since(SETTLED_S)) or since(PATIENCE_S), every_s=0.25)
            seen.to_s = time.time()
            seen.polls = {status: count - before[status] for status, count in polls().items()}
            for fault, status in ((InjectedFault.create("dead"), "unreachable"), (None, "up")):
                simulator.set_fault(0, fault)
                until(lambda status=status: of(HEALTHY[0], statuses())[-1] == status, every_s=0.25)
            seen.history = of(HEALTHY[0], statuses())
            seen.alive = producer.is_alive()
        finally:
            stop.set()
            producer.join(60)
        seen.counts = {host: bmc.statistics() for host, bmc in zip(hosts, simulator.bmcs, strict=True)}
    seen.records = records(settings, "raw-redfish")
    names = [topic.name for topic in settings.catalog.topics.values()]
    messages = [message for name in names for message in kafka.read_all(settings, name)]
    seen.output = b"\n".join([*(str(log).encode() for log in logs), *(message.value() or b"" for message in messages)])
    return seen


def of(host: str, statuses: list[dict[str, Any]]) -> list[str]:
    """The statuses of a host, in order, each change once."""
    mine = sorted((record for record in statuses if record["host"] == host), key=lambda record: record["observed_at"])
    return [status for status, _ in itertools.groupby(record["status"] for record in mine)]


@pytest.mark.parametrize("host", FAULTS)
def test_a_fault_is_told_by_the_targets_status(seen: Seen, host: str) -> None:
    _, status, words = FAULTS[host]
    record = seen.statuses[host]
    assert status == record["status"]
    assert any(word in record["detail"] for word in words.split("|")), record["detail"]
    assert (status in ("unreachable", "auth_failed")) == (record["failures"] > 0)


def test_healthy_targets_keep_their_cadence_beside_every_fault(seen: Seen) -> None:
    period = {"from_s": seen.from_s, "to_s": seen.to_s}
    assert {} == fleets.missed(seen.records, HEALTHY, interval_s=INTERVAL_S, categories=OFTEN, **period)
    assert {} == fleets.missed(seen.records, HEALTHY, interval_s=3 * INTERVAL_S, categories=SELDOM, **period)


def test_a_fault_of_one_resource_loses_no_other(seen: Seen) -> None:
    got = {record["category"] for record in seen.records if record["host"] == "one-resource"}
    assert {"system", "thermal", "processor", "memory"} <= got


def test_every_result_is_counted(seen: Seen) -> None:
    assert all(seen.polls.values()), seen.polls
    polls = sum(status["polls"] for status in seen.statuses.values())
    assert sum(seen.polls.values()) >= polls


def test_a_refused_login_is_not_tried_again_and_again(seen: Seen) -> None:
    """An account is locked after a few, and each category is polled on its own."""
    assert seen.counts["401"]["answers"].get("401", 0) <= 5


def test_a_bmc_that_dies_and_comes_back_is_told_and_polled_again(seen: Seen) -> None:
    assert seen.alive
    # It may die in the middle of a poll, of which some resources were got; on a busy machine, what is up may be slow.
    statuses = [status for status in seen.history[1:] if status not in ("partial", "slow")]
    assert ["up", "unreachable", "up"] == [status for status, _ in itertools.groupby(statuses)][-3:]


@pytest.mark.parametrize("host", [*HEALTHY[1:], "leak"])
def test_polls_share_one_session_and_leave_none_behind(seen: Seen, host: str) -> None:
    counts = seen.counts[host]
    assert counts["sessions_most"] <= 1
    assert counts["logins"] == counts["logouts"]


def test_no_log_and_no_record_of_any_topic_tells_the_password(seen: Seen) -> None:
    assert b"refused (HTTP 401)" in seen.output
    basic = base64.b64encode(f"root:{PASSWORD}".encode())
    assert [] == [secret for secret in (b"canary-of-the-fleet", basic) if secret in seen.output]
