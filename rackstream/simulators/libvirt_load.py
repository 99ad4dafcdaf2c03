"""Publishes the records of simulated hypervisors at their interval, through the publisher that producers use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from producers.publishing.publisher import RecordPublisher
from producers.reader import Problems, Sample
from rackstream.simulators.libvirt import EVENTS, LibvirtSimulation

CATEGORY: Final = "domains"
DRAIN_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class SimulatedHost:
    """Simulated hypervisor, as the `Subject` of its records."""

    host: str
    intervals: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=lambda: {"simulated": "yes"})


@dataclass(frozen=True)
class LoadSummary:
    """Records published, and the events that a processor must have found in them."""

    rounds: int
    hosts: int
    vms: int
    records: int
    """Records that Kafka has confirmed."""
    dropped: int
    restarts: int
    resets: int
    migrations: int
    epoch: str
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Returns the fields for JSON."""
        return asdict(self)


def publish_load(
    publisher: RecordPublisher,
    simulation: LibvirtSimulation,
    stop: threading.Event,
    *,
    rounds: int | None = None,
    progress: Callable[[int, RecordPublisher], None] = lambda _round, _publisher: None,
) -> LoadSummary:
    """Publishes rounds until `stop` is set or `rounds` of them are complete; a started round is finished.

    Hosts are spread over the interval. A round that takes longer than the interval delays the next; none is skipped.
    """
    settings = simulation.settings
    hosts = [SimulatedHost(f"sim-{number:04d}", {CATEGORY: settings.interval_s}) for number in range(settings.hosts)]
    started_s = round_due_s = time.monotonic()
    while rounds is None or simulation.round + 1 < rounds:
        if stop.wait(max(0.0, round_due_s - time.monotonic())):
            break
        simulation.advance()
        for number, host in enumerate(hosts):
            host_due_s = round_due_s + number / settings.hosts * settings.interval_s
            stop.wait(max(0.0, host_due_s - time.monotonic()))
            _publish(publisher, simulation, host, number)
        progress(simulation.round, publisher)
        round_due_s = max(round_due_s + settings.interval_s, time.monotonic())
    publisher.close(DRAIN_TIMEOUT_S)
    return LoadSummary(
        rounds=simulation.round + 1,
        hosts=settings.hosts,
        vms=settings.hosts * settings.vms,
        records=publisher.records,
        dropped=publisher.dropped,
        epoch=publisher.epoch,
        seconds=round(time.monotonic() - started_s, 3),
        **{event: simulation.event_counts[event] for event in EVENTS},
    )


def _publish(publisher: RecordPublisher, simulation: LibvirtSimulation, host: SimulatedHost, number: int) -> None:
    started_s = time.monotonic()
    body = {
        "uri": f"qemu+tls://{host.host}/system",
        "hypervisor": "QEMU",
        "domains": simulation.domains(number, int(time.time())),
    }
    publisher.publish("raw-libvirt", host, CATEGORY, Sample(body, Problems()), began_s=started_s)
