"""Targets of the partitions assigned to a shared producer, applied to its poll loop.

A partition is applied after it has been read to its end, together with the statuses of its targets, which are on the
partition of the same number. They name the session that the previous producer left open, and the epoch to be retired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from producers.fleet.reload import diff_targets
from producers.fleet.sharing import MAX_HOST_LENGTH, is_shareable_host
from producers.fleet.targets import FleetTarget
from producers.polling.target_state import TargetChange
from producers.publishing.publisher import RecordPublisher
from producers.reader import Reader
from producers.shared_targets.record import to_target
from producers.shared_targets.unavailable import RefusedTarget, UnavailableReader
from runtime.errors import Misconfigured, Retry
from schemas.records import Target, TargetStatus

log = structlog.get_logger()
RETRY_S: Final = 1.0
"""Delay after Kafka did not answer."""
UNAVAILABLE_RETRY_S: Final = 10.0
"""Targets that this producer could not poll are tried again this often."""
StatusesByHost = Mapping[str, TargetStatus]
ReadStatuses = Callable[[set[int]], StatusesByHost]
"""Reads the latest statuses of the source's targets on some partitions; raises Retry if Kafka does not answer."""
CreateReader = Callable[[FleetTarget, TargetStatus | None], Reader]
"""Creates the reader of a target with this latest status; raises Misconfigured if that is impossible."""
ReleaseTargets = Callable[[Iterable[str], Callable[[], None]], None]
"""Ends the polls of hosts, then calls back."""


@dataclass(eq=False)
class _Partition:
    """An assigned partition, and how far the poll loop has its targets."""

    targets: dict[str, FleetTarget] = field(default_factory=dict)
    """Host → target, as the poll loop has them."""
    records: dict[str, Target] = field(default_factory=dict)
    """Host → latest record."""
    is_complete: bool = False
    """True once it has been read to its end."""
    has_changes: bool = False
    """True if the poll loop does not have all records."""
    is_new: bool = True
    """True until it is first applied: other producers may have polled its targets."""


class TargetAssignment:
    """Partitions assigned to one group member. Thread-safe; `run` needs a thread of its own."""

    def __init__(
        self,
        source: str,
        publisher: RecordPublisher,
        *,
        read_statuses: ReadStatuses,
        create_reader: CreateReader,
        on_change: Callable[[TargetChange], None],
        release: ReleaseTargets,
    ) -> None:
        """Starts without partitions.

        Args:
            source: Source of the targets; records of others are ignored.
            publisher: Gets a new epoch for targets taken over.
            read_statuses: Reads latest statuses.
            create_reader: Creates readers.
            on_change: Applies changes to the poll loop.
            release: Releases targets of the poll loop.
        """
        self._source, self._publisher = source, publisher
        self._read_statuses, self._create_reader = read_statuses, create_reader
        self._on_change, self._release = on_change, release
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._partitions: dict[int, _Partition] = {}
        self._unavailable: dict[str, FleetTarget] = {}
        """Host → target that cannot be polled at present."""

    def assign(self, numbers: Iterable[int]) -> None:
        """Adds partitions, which are then read from their beginning.

        A partition that was kept while its assignment was in doubt keeps its targets until it has been read again.
        """
        with self._lock:
            for number in numbers:
                kept = self._partitions.get(number)
                self._partitions[number] = _Partition(kept.targets if kept else {})

    def update(self, number: int, record: Target | None) -> None:
        """Applies the next record of a partition.

        Tombstones (None) are ignored: `removed` records precede them.
        """
        with self._lock:
            partition = self._partitions.get(number)
            if partition is None or record is None or record["source"] != self._source:
                return
            partition.records[record["host"]] = record
            partition.has_changes = True
        self._wake.set()

    def mark_complete(self, number: int) -> None:
        """Marks a partition as read to its end."""
        with self._lock:
            partition = self._partitions.get(number)
            if partition is None or partition.is_complete:
                return
            partition.is_complete = partition.has_changes = True
        self._wake.set()

    def revoke(self, numbers: Iterable[int]) -> threading.Event:
        """Removes partitions. Returns an event that is set when their targets are no longer polled."""
        released = threading.Event()
        with self._lock:
            partitions = [self._partitions.pop(number) for number in numbers if number in self._partitions]
            hosts = [host for partition in partitions for host in partition.targets]
            self._unavailable = {host: target for host, target in self._unavailable.items() if host not in hosts}
            self._release(hosts, released.set)
        return released

    def run(self, stop: threading.Event) -> None:
        """Applies changes until `stop` is set."""
        next_retry_s = time.monotonic() + UNAVAILABLE_RETRY_S
        while not stop.is_set():
            self._wake.wait(RETRY_S)
            self._wake.clear()
            try:
                self.apply_changes()
            except Retry as error:
                log.warning("statuses not read, targets are not polled yet", reason=str(error))
                stop.wait(RETRY_S)
                self._wake.set()
            except Exception:
                log.exception("targets not applied, trying again")
                stop.wait(RETRY_S)
                self._wake.set()
            if time.monotonic() >= next_retry_s:
                self.retry_unavailable()
                next_retry_s = time.monotonic() + UNAVAILABLE_RETRY_S

    def apply_changes(self) -> None:
        """Applies the partitions that are complete and have changes.

        Raises:
            Retry: The statuses of new partitions could not be read.
        """
        with self._lock:
            changed = {
                number: (partition, dict(partition.records))
                for number, partition in self._partitions.items()
                if partition.is_complete and partition.has_changes
            }
        new = {number for number, (partition, _) in changed.items() if partition.is_new}
        statuses = self._read_statuses(new) if new else {}
        for number, (partition, records) in changed.items():
            self._apply_partition(number, partition, records, statuses if number in new else {})

    def retry_unavailable(self) -> None:
        """Creates readers of targets that could not be polled before."""
        for host, target in list(self._unavailable.items()):
            try:
                reader = self._create_reader(target, None)
            except Exception:  # noqa: BLE001, S112  its status has the reason; an error concerns this target only
                continue
            with self._lock:
                if self._unavailable.get(host) is target:
                    del self._unavailable[host]
                    self._on_change(TargetChange((reader,), frozenset([host])))

    def _apply_partition(
        self, number: int, partition: _Partition, records: Mapping[str, Target], statuses: StatusesByHost
    ) -> None:
        """Applies the records of a partition; `statuses` are those of a new one."""
        last_statuses = {host: status for host, status in statuses.items() if host in records}
        old = partition.targets
        targets = {host: target for host, record in records.items() if (target := self._parse(record))}
        started, ended = diff_targets(old, targets)
        readers, unavailable = self._create_readers(started, last_statuses)
        vanished = tuple(
            status for host, status in last_statuses.items() if host not in targets and not status["removed"]
        )
        with self._lock:
            if self._partitions.get(number) is not partition:
                return  # revoked or assigned again meanwhile
            if partition.records == records:
                partition.has_changes = False
            taken_over = list(targets) if partition.is_new else [host for host in targets if host not in old]
            partition.is_new = False
            partition.targets = targets
            self._unavailable = {
                host: target for host, target in self._unavailable.items() if host not in ended
            } | unavailable
            newest_epoch = max((status["epoch"] for status in last_statuses.values()), default="")
            self._publisher.start_epoch(taken_over, newest_epoch)
            if readers or ended or vanished:
                self._on_change(TargetChange(readers, ended, last_statuses, vanished))
        log.info(
            "targets assigned",
            source=self._source,
            partition=number,
            started=len(readers),
            targets=len(targets),
        )

    def _parse(self, record: Target) -> FleetTarget | None:
        """Returns the target of a record; None if it is removed, a `RefusedTarget` if it is invalid.

        Catches everything: no record may end the thread that applies all of them.
        """
        if record["removed"]:
            return None
        try:
            return to_target(record)
        except ValueError as error:
            reason = str(error)
        except Exception as error:
            log.exception("target not understood", host=record["host"][:MAX_HOST_LENGTH])
            reason = f"not understood ({type(error).__name__})"
        if not is_shareable_host(record["host"]):
            log.error("target ignored: its host name cannot be published", host=record["host"][:MAX_HOST_LENGTH])
            return None
        log.error("target refused", host=record["host"], reason=reason)
        return RefusedTarget.from_record(record, f"refused: {reason}")

    def _create_readers(
        self, targets: Iterable[FleetTarget], last_statuses: StatusesByHost
    ) -> tuple[tuple[Reader, ...], dict[str, FleetTarget]]:
        """Creates readers. Also returns the targets that cannot be polled; their readers report why."""
        readers: list[Reader] = []
        unavailable: dict[str, FleetTarget] = {}
        for target in targets:
            if isinstance(target, RefusedTarget):
                readers.append(UnavailableReader(self._source, target, target.reason))
                continue
            try:
                readers.append(self._create_reader(target, last_statuses.get(target.host)))
            except Misconfigured as error:
                unavailable[target.host] = target
                readers.append(UnavailableReader(self._source, target, str(error)))
            except Exception as error:
                log.exception("target cannot be polled", source=self._source, host=target.host)
                unavailable[target.host] = target
                readers.append(UnavailableReader(self._source, target, f"cannot be polled ({type(error).__name__})"))
        return tuple(readers), unavailable
