"""The faults, one after the other on one pipeline. Each says what it needs, and leaves everything running again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chaos.testbed import Stage, libfaketime
from rackstream.local.supervisor import Part

BALLAST: Final = "ballast"
STEP_S: Final = 120
"""How far a clock is set, less than an hour: rows stay in the files that the audit reads anyway."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    short_s: float
    """How long in CI."""
    full_s: float
    """How long by hand."""
    play: Callable[[Stage, float, random.Random], None]
    lacks: Callable[[Stage], str] = lambda _: ""
    """What it needs and is not there; empty: nothing."""


def broker_stopped(stage: Stage, seconds: float, _: random.Random) -> None:
    """Kafka is stopped in order, and started again."""
    broker = stage.pipeline.broker
    assert broker is not None
    stage.is_down = True
    broker.stop()
    stage.wait(seconds)
    stage.is_down = False


def disk_full(stage: Stage, seconds: float, _: random.Random) -> None:
    """Nothing more can be written where Kafka keeps its log; later it can. Kafka ends meanwhile, by its own design."""
    ballast = stage.disk / BALLAST
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    stage.wait(seconds)
    ballast.unlink()


def producer_paused(stage: Stage, seconds: float, _: random.Random) -> None:
    """Producers are stopped as by a debugger or a virtual machine's pause, and go on."""
    with paused(stage.parts("producer-redfish", "producer-libvirt", "application")):
        stage.wait(seconds)


def rebalance_storm(stage: Stage, seconds: float, chance: random.Random) -> None:
    """Workers and sinks join and leave, some in order and some by SIGKILL."""
    pipeline = stage.pipeline
    more = [pipeline.part(f"processor-{number}", "processor") for number in (2, 3)]
    more.append(pipeline.part("sink-files-2", "sink", "files"))
    for _round in range(max(1, round(seconds / 8))):
        for part in more:
            pipeline.supervisor.start(part, wait=False)
            stage.wait(1)
        stage.wait(chance.uniform(2, 4))
        if chance.random() < 0.5:
            pipeline.supervisor.kill(chance.choice(more).name)
        pipeline.supervisor.stop([part.name for part in more])


def slow_sink(stage: Stage, seconds: float, _: random.Random) -> None:
    """Sinks, and InfluxDB, run for a tenth of the time only."""
    victims = [part.pid for part in stage.parts("sink-")]
    if stage.influx is not None and stage.influx.process is not None:
        victims.append(stage.influx.process.pid)
    for _round in range(round(seconds / 2)):
        with paused_pids(pid for pid in victims if pid is not None):
            stage.wait(1.8)
        stage.wait(0.2)


def clock_step(stage: Stage, seconds: float, _: random.Random) -> None:
    """A producer's clock is set forward, back, and right again."""
    for offset_s in (STEP_S, -STEP_S, 0):
        stage.clock.write_text(f"{offset_s:+d}\n")
        stage.wait(seconds / 3)


def drains_killed(stage: Stage, seconds: float, chance: random.Random) -> None:
    """Kafka dies, and when it is back, producers are killed while it takes what they have on disk; then sinks too."""
    broker = stage.pipeline.broker
    assert broker is not None
    for number in range(max(1, round(seconds / 15))):
        stage.is_down = True
        broker.kill()
        stage.wait(6)
        stage.is_down = False
        stage.until(broker.alive, "Kafka is started again")
        stage.wait(chance.uniform(0, 3))
        for part in [*stage.producers(), *(stage.parts("sink-") if number % 2 else ())]:
            stage.kill(part.name)
        stage.until(stage.whole, "all parts ready again", timeout_s=180)


def kills(stage: Stage, seconds: float, chance: random.Random) -> None:
    """SIGKILL to one process after the other: any part, Kafka, InfluxDB's sink among them."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        stage.wait(chance.uniform(2, 6))
        broker = stage.pipeline.broker
        victims = sorted(part.name for part in stage.parts() if part.pid is not None and part.name != "simulator")
        if broker is not None and broker.alive():
            victims.append("kafka")
        if not victims:
            continue
        name = chance.choice(victims)
        if name == "kafka" and broker is not None:
            broker.kill()
        else:
            stage.kill(name)


@contextlib.contextmanager
def paused(parts: Iterable[Part]) -> Iterator[None]:
    """SIGSTOP to parts, SIGCONT at the end."""
    with paused_pids(part.pid for part in parts if part.pid is not None):
        yield


@contextlib.contextmanager
def paused_pids(pids: Iterable[int]) -> Iterator[None]:
    """SIGSTOP to processes, SIGCONT at the end."""
    stopped = list(pids)
    for pid in stopped:
        _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)


ALL: Final = (
    Fault("broker stopped", 20, 600, broker_stopped),
    Fault("broker's disk full", 10, 120, disk_full, lambda stage: "" if stage.has_disk else "root, for a small tmpfs"),
    Fault("producer paused", 20, 20, producer_paused),
    Fault("rebalance storm", 16, 180, rebalance_storm),
    Fault("slow sink", 12, 120, slow_sink),
    Fault("clock step", 12, 60, clock_step, lambda _: "" if libfaketime() else "Debian's faketime"),
    Fault("drain killed", 30, 150, drains_killed),
    Fault("kill -9 at random", 60, 900, kills),
)
