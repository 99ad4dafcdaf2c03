"""Publishes what simulated hypervisors say, at their cadence, on the path of every producer. I/O; no record logic."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from producers.publishing.publisher import Publication
from producers.reader import Problems, Sample
from rackstream.simulators.libvirt import EVENTS, Simulation

CATEGORY: Final = "domains"
DRAIN_S: Final = 30.0


@dataclass(frozen=True)
class Host:
    """One simulated hypervisor: what `Publication` wants to know of the source of a record."""

    host: str
    intervals: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=lambda: {"simulated": "yes"})


@dataclass(frozen=True)
class Summary:
    """What was published, and what a processor must therefore have seen."""

    rounds: int
    hosts: int
    vms: int
    records: int
    """Confirmed by Kafka."""
    dropped: int
    restarts: int
    resets: int
    migrations: int
    epoch: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run(
    publication: Publication,
    simulation: Simulation,
    stop: threading.Event,
    *,
    rounds: int | None = None,
    progress: Callable[[int, Publication], None] = lambda _round, _publication: None,
) -> Summary:
    """Publishes round after round until `stop` is set or `rounds` are made; a round that has begun is finished.

    Hosts are spread over the interval. A round that takes longer than the interval delays the next: nothing is skipped.
    """
    plan = simulation.plan
    hosts = [Host(f"sim-{n:04d}", {CATEGORY: plan.interval_s}) for n in range(plan.hosts)]
    began_s = due_s = time.monotonic()
    while rounds is None or simulation.round + 1 < rounds:
        if stop.wait(max(0.0, due_s - time.monotonic())):
            break
        simulation.advance()
        for n, host in enumerate(hosts):
            stop.wait(max(0.0, due_s + n / plan.hosts * plan.interval_s - time.monotonic()))
            _publish(publication, simulation, host, n)
        progress(simulation.round, publication)
        due_s = max(due_s + plan.interval_s, time.monotonic())
    publication.close(DRAIN_S)
    return Summary(
        rounds=simulation.round + 1,
        hosts=plan.hosts,
        vms=plan.hosts * plan.vms,
        records=publication.records,
        dropped=publication.dropped,
        epoch=publication.epoch,
        seconds=round(time.monotonic() - began_s, 3),
        **{event: simulation.made[event] for event in EVENTS},
    )


def _publish(publication: Publication, simulation: Simulation, host: Host, n: int) -> None:
    began_s = time.monotonic()
    body = {
        "uri": f"qemu+tls://{host.host}/system",
        "hypervisor": "QEMU",
        "domains": simulation.domains(n, int(time.time())),
    }
    publication.publish("raw-libvirt", host, CATEGORY, Sample(body, Problems()), began_s=began_s)
