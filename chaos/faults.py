"""Faults for the testbed. Each names its requirements and leaves all processes running again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chaos.testbed import Testbed, find_libfaketime
from rackstream.local.supervisor import PipelinePart

BALLAST: Final = "ballast"
CLOCK_STEP_S: Final = 120
"""Offset of a clock; less than an hour, so that rows stay in files that the audit reads anyway."""


@dataclass(frozen=True)
class Fault:
    """A fault and its durations."""

    name: str
    short_s: float
    """Duration in CI."""
    full_s: float
    """Duration in a full run."""
    inject: Callable[[Testbed, float, random.Random], None]
    missing_requirement: Callable[[Testbed], str] = lambda _: ""
    """Requirement of the fault that this machine does not meet; empty if it can be injected."""


def broker_stopped(testbed: Testbed, seconds: float, _: random.Random) -> None:
    """Stops Kafka gracefully and starts it again."""
    broker = testbed.pipeline.broker
    assert broker is not None
    testbed.keep_kafka_down = True
    broker.stop()
    testbed.wait(seconds)
    testbed.keep_kafka_down = False


def disk_full(testbed: Testbed, seconds: float, _: random.Random) -> None:
    """Fills Kafka's disk for a while. Kafka exits on a full disk by design."""
    ballast = testbed.disk / BALLAST
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    testbed.wait(seconds)
    ballast.unlink()


def producer_paused(testbed: Testbed, seconds: float, _: random.Random) -> None:
    """Pauses the producers, as a debugger or the pause of a virtual machine does."""
    with paused_parts(testbed.parts("producer-redfish", "producer-libvirt", "application")):
        testbed.wait(seconds)


def rebalance_storm(testbed: Testbed, seconds: float, rng: random.Random) -> None:
    """Lets workers and sinks join and leave their groups, some gracefully and some by SIGKILL."""
    pipeline = testbed.pipeline
    extra_parts = [pipeline.part(f"processor-{number}", "processor") for number in (2, 3)]
    extra_parts.append(pipeline.part("sink-files-2", "sink", "files"))
    for _round in range(max(1, round(seconds / 8))):
        for part in extra_parts:
            pipeline.supervisor.start(part, wait=False)
            testbed.wait(1)
        testbed.wait(rng.uniform(2, 4))
        if rng.random() < 0.5:
            pipeline.supervisor.kill(rng.choice(extra_parts).name)
        pipeline.supervisor.stop([part.name for part in extra_parts])


def slow_sink(testbed: Testbed, seconds: float, _: random.Random) -> None:
    """Pauses sinks and InfluxDB for nine tenths of the time."""
    victims = [part.pid for part in testbed.parts("sink-")]
    if testbed.influx is not None and testbed.influx.process is not None:
        victims.append(testbed.influx.process.pid)
    for _round in range(round(seconds / 2)):
        with paused_pids(pid for pid in victims if pid is not None):
            testbed.wait(1.8)
        testbed.wait(0.2)


def clock_step(testbed: Testbed, seconds: float, _: random.Random) -> None:
    """Sets a producer's clock forward, back, and right again."""
    for offset_s in (CLOCK_STEP_S, -CLOCK_STEP_S, 0):
        testbed.clock_file.write_text(f"{offset_s:+d}\n")
        testbed.wait(seconds / 3)


def kill_while_draining(testbed: Testbed, seconds: float, rng: random.Random) -> None:
    """Kills Kafka, then the producers while they drain their spools into it again; every second time the sinks, too."""
    broker = testbed.pipeline.broker
    assert broker is not None
    for number in range(max(1, round(seconds / 15))):
        testbed.keep_kafka_down = True
        broker.kill()
        testbed.wait(6)
        testbed.keep_kafka_down = False
        testbed.wait_until(broker.alive, "Kafka restarted")
        testbed.wait(rng.uniform(0, 3))
        for part in [*testbed.producers(), *(testbed.parts("sink-") if number % 2 else ())]:
            testbed.kill(part.name)
        testbed.wait_until(testbed.all_ready, "all processes ready", timeout_s=180)


def random_kills(testbed: Testbed, seconds: float, rng: random.Random) -> None:
    """Kills one process after the other, including Kafka and the sinks, by SIGKILL."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        testbed.wait(rng.uniform(2, 6))
        broker = testbed.pipeline.broker
        victims = sorted(part.name for part in testbed.parts() if part.pid is not None and part.name != "simulator")
        if broker is not None and broker.alive():
            victims.append("kafka")
        if not victims:
            continue
        name = rng.choice(victims)
        if name == "kafka" and broker is not None:
            broker.kill()
        else:
            testbed.kill(name)


@contextlib.contextmanager
def paused_parts(parts: Iterable[PipelinePart]) -> Iterator[None]:
    """Pauses processes of the pipeline with SIGSTOP until the end of the context."""
    with paused_pids(part.pid for part in parts if part.pid is not None):
        yield


@contextlib.contextmanager
def paused_pids(pids: Iterable[int]) -> Iterator[None]:
    """Pauses processes with SIGSTOP until the end of the context."""
    stopped = list(pids)
    for pid in stopped:
        _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, signal_number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal_number)


FAULTS: Final = (
    Fault("broker stopped", 20, 600, broker_stopped),
    Fault(
        "broker's disk full", 10, 120, disk_full, lambda testbed: "" if testbed.has_disk else "root, for a small tmpfs"
    ),
    Fault("producer paused", 20, 20, producer_paused),
    Fault("rebalance storm", 16, 180, rebalance_storm),
    Fault("slow sink", 12, 120, slow_sink),
    Fault("clock step", 12, 60, clock_step, lambda _: "" if find_libfaketime() else "Debian's faketime"),
    Fault("drain killed", 30, 150, kill_while_draining),
    Fault("kill -9 at random", 60, 900, random_kills),
)
