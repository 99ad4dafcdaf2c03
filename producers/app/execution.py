"""The execution API (docs/python.md): statistics of executed commands, and system metrics."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, ParamSpec, TypedDict, TypeVar

from producers.app.timing import wrap_calls

if TYPE_CHECKING:
    from types import ModuleType

    from producers.app.avro_codec import ExecutionSnapshot, ExecutionStats
    from producers.app.kafka import KafkaStorage

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
Reading = TypeVar("Reading")
SAMPLE_S: Final = 1.0
GRACE_S: Final = 1.0
"""How much longer a first caller waits for the sampler thread on a busy machine."""


class SystemMetrics(TypedDict):
    """Metrics of this machine; None if unreadable."""

    cpu_percent: float | None
    memory_percent: float | None
    disk_usage: float | None
    network_io: dict[str, int]


class ExecutionReport(TypedDict):
    """Result of `TelemetryCollector.get_stats`."""

    uptime_seconds: float
    commands_executed: int
    success_rate: str
    average_execution_time: str
    system_metrics: SystemMetrics


class TelemetryCollector:
    """Counts executed commands, and reads this machine's metrics. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stats: ExecutionStats = {
            "commands_executed": 0,
            "successful_commands": 0,
            "failed_commands": 0,
            "total_execution_time": 0.0,
            "start_time": time.time(),
        }

    def record_execution(self, success: bool, execution_time: float) -> None:  # noqa: FBT001  documented signature
        """Counts one command that took `execution_time` seconds."""
        with self._lock:
            self.stats["commands_executed"] += 1
            if success:
                self.stats["successful_commands"] += 1
            else:
                self.stats["failed_commands"] += 1
            self.stats["total_execution_time"] += execution_time

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records the block as one command, which has failed if it raises."""
        started_s = time.perf_counter()
        success = False
        try:
            yield
            success = True
        finally:
            self.record_execution(success, time.perf_counter() - started_s)

    def recorded(self, function: Callable[P, R]) -> Callable[P, R]:
        """Wraps a function, plain or `async`, so that each call is recorded as one command."""
        return wrap_calls(self.recording, function)

    def get_system_metrics(self) -> SystemMetrics:
        """Reads CPU, memory and root file system in percent, and network counters.

        CPU use covers the last full second; only a process's first call waits for it. An unreadable value is None, or
        {} for the network.
        """
        return {
            "cpu_percent": SAMPLER.percent(),
            "memory_percent": _read("memory", lambda ps: ps.virtual_memory().percent),
            "disk_usage": _read("disk", lambda ps: ps.disk_usage("/").percent),
            "network_io": _read("network", lambda ps: ps.net_io_counters()._asdict()) or {},
        }

    def get_stats(self) -> ExecutionReport:
        """Returns uptime, commands, success rate, average time and system metrics, formatted."""
        stats = self._snapshot()
        count = stats["commands_executed"]
        success_rate = stats["successful_commands"] / count * 100 if count else 0
        average_s = stats["total_execution_time"] / count if count else 0
        return {
            "uptime_seconds": stats["uptime_seconds"],
            "commands_executed": count,
            "success_rate": f"{success_rate:.1f}%",
            "average_execution_time": f"{average_s:.2f}s",
            "system_metrics": self.get_system_metrics(),
        }

    def publish(self, storage: KafkaStorage) -> None:
        """Publishes the current statistics to `fleet.raw.app`, under the storage's `source`."""
        storage.store_execution(self._snapshot())

    def _snapshot(self) -> ExecutionSnapshot:
        with self._lock:
            stats = self.stats.copy()
        return {**stats, "uptime_seconds": time.time() - stats["start_time"]}


def _read(metric: str, read: Callable[[ModuleType], Reading]) -> Reading | None:
    """Reads a metric with psutil; None if that fails."""
    try:
        import psutil

        return read(psutil)
    except Exception as error:  # noqa: BLE001  psutil passes on platform-specific errors of any type
        log.debug("no %s metrics: %r", metric, error)
        return None


class Sampler:
    """Measures the machine's CPU use over the last full second, in one thread per process."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self.reset()

    def percent(self) -> float | None:
        """Returns percent of all cores; None if unreadable.

        The first call waits until a second has been measured.
        """
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cpu-sampler", daemon=True)
                self._thread.start()
        self._measured.wait(SAMPLE_S + GRACE_S)
        return self._latest

    def reset(self) -> None:
        """Starts without a thread; a forked child does not inherit its parent's."""
        self._lock = threading.Lock()
        self._measured = threading.Event()
        self._latest: float | None = None
        self._thread = None

    def _run(self) -> None:
        while True:
            started_s = time.monotonic()
            self._latest = _read("CPU", lambda ps: ps.cpu_percent(interval=SAMPLE_S))
            self._measured.set()
            time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - started_s)))  # if psutil failed at once


SAMPLER: Final = Sampler()
os.register_at_fork(after_in_child=SAMPLER.reset)
