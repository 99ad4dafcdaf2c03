"""Execution statistics and system metrics of a process that runs commands: the collector of seed 001."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from producers.app.timing import within

if TYPE_CHECKING:
    from producers.app.kafka import KafkaStorage

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
SAMPLE_S: Final = 1.0
GRACE_S: Final = 1.0
"""How much longer a first caller waits for a sampler that a busy machine keeps from running."""


class TelemetryCollector:
    """Counts commands executed, and reads this machine's metrics. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stats: dict[str, Any] = {
            "commands_executed": 0,
            "successful_commands": 0,
            "failed_commands": 0,
            "total_execution_time": 0.0,
            "start_time": time.time(),
        }

    def record_execution(self, success: bool, execution_time: float) -> None:  # noqa: FBT001  the seed's signature
        """Counts one command that took `execution_time` seconds."""
        with self._lock:
            self.stats["commands_executed"] += 1
            self.stats["successful_commands" if success else "failed_commands"] += 1
            self.stats["total_execution_time"] += execution_time

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records the block as one command; one that raises has failed."""
        began_s = time.perf_counter()
        success = False
        try:
            yield
            success = True
        finally:
            self.record_execution(success, time.perf_counter() - began_s)

    def recorded(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, plain or `async`, with each call recorded as one command."""
        return within(self.recording, function)

    def get_system_metrics(self) -> dict[str, Any]:
        """CPU, memory and root file system in percent, and network counters.

        CPU use covers the last full second; only a process's first call waits for it. What cannot be read is None, or
        {} for the network.
        """
        return {
            "cpu_percent": SAMPLER.percent(),
            "memory_percent": _read("memory", lambda ps: ps.virtual_memory().percent),
            "disk_usage": _read("disk", lambda ps: ps.disk_usage("/").percent),
            "network_io": _read("network", lambda ps: ps.net_io_counters()._asdict()) or {},
        }

    def get_stats(self) -> dict[str, Any]:
        """Uptime in seconds, commands, success rate in percent, average time in seconds, and system metrics."""
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
        """Publishes the statistics as they stand to `fleet.raw.app`, under the storage's `source`."""
        storage.store_execution(self._snapshot())

    def _snapshot(self) -> dict[str, Any]:
        with self._lock:
            stats = dict(self.stats)
        return stats | {"uptime_seconds": time.time() - stats["start_time"]}


def _read(what: str, read: Callable[[Any], Any]) -> Any:
    """One reading by psutil, or None."""
    try:
        import psutil

        return read(psutil)
    except Exception as error:  # noqa: BLE001  psutil lets through whatever a platform makes it trip over
        log.debug("no %s metrics: %r", what, error)
        return None


class Sampler:
    """CPU use of the machine over the last full second, measured by one thread for the whole process."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self.renew()

    def percent(self) -> float | None:
        """Percent of all cores; None where it cannot be read. The first call waits until a second has been measured."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cpu-sampler", daemon=True)
                self._thread.start()
        self._measured.wait(SAMPLE_S + GRACE_S)
        return self._latest

    def renew(self) -> None:
        """After a fork: the thread is the parent's."""
        self._lock = threading.Lock()
        self._measured = threading.Event()
        self._latest: float | None = None
        self._thread = None

    def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            self._latest = _read("CPU", lambda ps: ps.cpu_percent(interval=SAMPLE_S))
            self._measured.set()
            time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - began_s)))  # where psutil failed at once


SAMPLER: Final = Sampler()
os.register_at_fork(after_in_child=SAMPLER.renew)
