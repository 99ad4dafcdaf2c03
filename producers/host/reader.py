"""Reader of this machine with psutil: category `host`, all of HostSample."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from producers.host.readings import PARTS, Ps
from producers.reader import PollFailed, Problems, Sample, TargetFacts
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from producers.fleet.targets import HostTarget
    from schemas.records import CpuTimes, HostFilesystem, HostSample

CATEGORY: Final = "host"
NULLABLE_FIELDS: Final = (
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
)
LIST_FIELDS: Final = ("cores", "disks", "filesystems", "interfaces", "temperatures", "fans")
USAGE_SHARE: Final = 0.5
"""Share of a poll's timeout that reading the sizes of file systems may take."""


def create_reader(target: HostTarget, interval_s: float) -> HostReader:
    """Creates the reader of this machine; `interval_s` applies if the target sets no interval.

    Raises:
        Misconfigured: psutil is not installed.
    """
    try:
        import psutil
    except ImportError as error:
        raise Misconfigured(f"host targets need the package psutil ({error}): run `make setup`") from error
    return HostReader(target, target.interval or interval_s, psutil)


def empty_body() -> HostSample:
    """Returns a sample without its header, in which nothing has been read."""
    body = dict.fromkeys(NULLABLE_FIELDS) | {name: [] for name in LIST_FIELDS}
    return cast("HostSample", body)


class HostReader:
    """Reader of one host target. CPU utilization is measured between two reads."""

    source = "host"

    def __init__(self, target: HostTarget, interval_s: float, ps: Ps) -> None:
        self._ps = ps
        self._usage_reader = _UsageReader(ps)
        self._last_cpu: CpuTimes | None = None
        self.host = target.host
        self.address = "localhost"
        self.labels = target.labels
        self.intervals = {CATEGORY: interval_s}

    def read(self, category: str, timeout_s: float) -> Sample:
        """Reads all that psutil provides. Only file systems can block; they are waited for.

        Raises:
            PollFailed: Every part failed.
        """
        if category != CATEGORY:
            raise ValueError(f"a host has no category {category!r}")
        problems = Problems()
        body = empty_body()
        results = [self._read_part(name, body, problems) for name in PARTS]
        if not any(results):
            raise PollFailed("unreachable", "psutil could not read anything on this machine")
        self._usage_reader.fill(body["filesystems"], timeout_s * USAGE_SHARE, problems)
        body["cpu_percent"] = _cpu_percent(self._last_cpu, body["cpu"])
        self._last_cpu = body["cpu"]
        return Sample(body, problems)

    def facts(self) -> TargetFacts:
        """Returns no facts."""
        return TargetFacts()

    def abort(self) -> None:
        """Does nothing: a poll is short."""

    def close(self) -> None:
        """Does nothing: nothing is open."""

    def _read_part(self, name: str, body: HostSample, problems: Problems) -> bool:
        try:
            PARTS[name](self._ps, body)
        except Exception as error:  # noqa: BLE001 -- psutil raises whatever the platform raises
            problems.add(name, type(error).__name__, whole=True)
            return False
        return True


def _cpu_percent(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """Returns the CPU time neither idle nor waiting, in percent, as psutil.cpu_percent does."""
    if before is None or after is None:
        return None
    waiting_s, working_s = (
        # Kernels sometimes decrease iowait and steal; such a step counts as zero.
        sum(max(0.0, (after[name] or 0.0) - (before[name] or 0.0)) for name in names)
        for names in (("idle_s", "iowait_s"), ("user_s", "system_s", "irq_s", "steal_s"))
    )
    total_s = waiting_s + working_s
    return 100.0 * working_s / total_s if total_s else None


class _DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


class _UsageReader:
    """Reads the sizes of file systems in a thread: statvfs on a dead device blocks forever.

    Each mount that hangs costs one sleeping thread and is skipped until that thread returns; the mounts after it lack
    their sizes in that one poll.
    """

    def __init__(self, ps: Ps) -> None:
        self._ps = ps
        self._hung: dict[str, Thread] = {}

    def fill(self, filesystems: list[HostFilesystem], timeout_s: float, problems: Problems) -> None:
        self._hung = {path: thread for path, thread in self._hung.items() if thread.is_alive()}
        paths = [mount["mountpoint"] for mount in filesystems if mount["mountpoint"] not in self._hung]
        results: dict[str, _DiskUsage | Exception] = {}
        thread = Thread(target=self._read_usage, args=(paths, results), name="statvfs", daemon=True)
        thread.start()
        thread.join(timeout_s)
        results = dict(results)  # the thread may still write to its own
        unanswered = [path for path in paths if path not in results]
        if unanswered and thread.is_alive():
            self._hung[unanswered[0]] = thread
        for filesystem in filesystems:
            usage = results.get(filesystem["mountpoint"])
            if usage is None or isinstance(usage, Exception):
                problems.add("filesystems", "no answer in time" if usage is None else type(usage).__name__)
            else:
                filesystem.update({"total": usage.total, "used": usage.used, "free": usage.free})

    def _read_usage(self, paths: list[str], results: dict[str, _DiskUsage | Exception]) -> None:
        for path in paths:
            try:
                results[path] = self._ps.disk_usage(path)
            except Exception as error:  # noqa: BLE001 -- reported by the reading thread
                results[path] = error
