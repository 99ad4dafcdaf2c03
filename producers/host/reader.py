"""Polls this machine with psutil: category `host`, all of HostSample. A part that fails is counted, not fatal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from producers.host.readings import PARTS, Ps
from producers.reader import Facts, PollFailed, Problems, Sample
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from producers.fleet.config import HostTarget
    from schemas.records import HostFilesystem

CATEGORY: Final = "host"
NOTHING: Final[dict[str, Any]] = dict.fromkeys(
    [
        "boot_at",
        "uptime_s",
        "cpu_percent",
        "cpu",
        "load_1",
        "load_5",
        "load_15",
        "memory_total",
        "memory_available",
        "memory_used",
        "memory_cached",
        "swap_total",
        "swap_used",
        "swap_in",
        "swap_out",
        "processes",
    ]
)
LISTS: Final = ("cores", "disks", "filesystems", "interfaces", "temperatures", "fans")
USAGE_SHARE: Final = 0.5
"""The part of a poll's time that sizes of file systems may take."""


def create_reader(target: HostTarget, interval_s: float) -> HostReader:
    """The reader of this machine. `interval_s`: seconds between polls where the target says none.

    Raises:
        Misconfigured: psutil is not installed.
    """
    try:
        import psutil
    except ImportError as error:
        raise Misconfigured(f"host targets need the package psutil ({error}): run `make setup`") from error
    return HostReader(target, target.interval or interval_s, psutil)


class HostReader:
    """Reader of one host target. CPU use is measured between two reads of this reader."""

    source = "host"

    def __init__(self, target: HostTarget, interval_s: float, ps: Ps) -> None:
        self._ps = ps
        self._usage = _Usage(ps)
        self._last_cpu: Mapping[str, Any] | None = None
        self.host = target.host
        self.address = "localhost"
        self.labels = target.labels
        self.intervals = {CATEGORY: interval_s}

    def read(self, category: str, timeout_s: float) -> Sample:
        """Everything psutil has, in about `timeout_s` seconds: only file systems can block, and those are waited for.

        Raises:
            PollFailed: every part failed.
        """
        if category != CATEGORY:
            raise ValueError(f"a host has no category {category!r}")
        problems = Problems()
        body = NOTHING | {name: [] for name in LISTS}
        got = [self._part(name, read, body, problems) for name, read in PARTS.items()]
        if not any(got):
            raise PollFailed("unreachable", "psutil could read nothing of this machine")
        self._usage.fill(body["filesystems"], timeout_s * USAGE_SHARE, problems)
        body["cpu_percent"] = _percent(self._last_cpu, body["cpu"])
        self._last_cpu = body["cpu"]
        return Sample(body, problems)

    def facts(self) -> Facts:
        """Nothing beyond the polls."""
        return Facts()

    def hurry(self) -> None:
        """A poll is short."""

    def close(self) -> None:
        """Nothing is held."""

    def _part(self, name: str, read: Callable[[Ps], dict[str, Any]], body: dict[str, Any], problems: Problems) -> bool:
        try:
            body |= read(self._ps)
        except Exception as error:  # noqa: BLE001 -- psutil lets through whatever a platform makes it trip over
            problems.add(name, type(error).__name__, whole=True)
            return False
        return True


def _percent(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> float | None:
    """Not idle and not waiting, in percent of all time between two samples (as psutil.cpu_percent has it)."""
    if before is None or now is None:
        return None
    spent = [
        # Kernels let iowait and steal fall at times: such a step counts as none.
        max(0.0, (now[key] or 0.0) - (before[key] or 0.0))
        for key in ("idle_s", "iowait_s", "user_s", "system_s", "irq_s", "steal_s")
    ]
    return 100.0 * sum(spent[2:]) / sum(spent) if sum(spent) else None


class _Usage:
    """Sizes of file systems, asked for in a thread: statvfs on a dead device blocks for ever and cannot be ended.

    Each mount that hangs costs one sleeping thread and is left alone until that thread returns; the mounts after it
    lack their sizes in that one poll.
    """

    def __init__(self, ps: Ps) -> None:
        self._ps = ps
        self._stuck: dict[str, Thread] = {}

    def fill(self, mounts: list[HostFilesystem], timeout_s: float, problems: Problems) -> None:
        self._stuck = {path: thread for path, thread in self._stuck.items() if thread.is_alive()}
        paths = [mount["mountpoint"] for mount in mounts if mount["mountpoint"] not in self._stuck]
        answers: dict[str, Any] = {}
        thread = Thread(target=self._ask, args=(paths, answers), name="statvfs", daemon=True)
        thread.start()
        thread.join(timeout_s)
        got = dict(answers)  # the thread may go on writing
        unanswered = [path for path in paths if path not in got]
        if unanswered and thread.is_alive():
            self._stuck[unanswered[0]] = thread
        for mount in mounts:
            usage = got.get(mount["mountpoint"])
            if usage is None or isinstance(usage, Exception):
                problems.add("filesystems", "no answer in time" if usage is None else type(usage).__name__)
            else:
                mount.update({"total": usage.total, "used": usage.used, "free": usage.free})

    def _ask(self, paths: list[str], answers: dict[str, Any]) -> None:
        for path in paths:
            try:
                answers[path] = self._ps.disk_usage(path)
            except Exception as error:  # noqa: BLE001 -- told by the reading thread
                answers[path] = error
