"""What is assigned to a shared producer becomes targets that begin, change and end. Readers are made on its own thread.

A partition is taken when it has been read whole, and the statuses of its targets with it: they lie on the partition of
the same number. They say how each stood, which session its last producer left open, and which epoch has to be retired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog
from confluent_kafka import KafkaException

from producers.fleet.config import AnyTarget
from producers.fleet.reload import difference
from producers.polling.target_state import Change
from producers.publishing.publisher import Publication
from producers.reader import Reader
from producers.shared_targets import record as shared
from producers.shared_targets.unavailable import Unready
from runtime import compacted_topic
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

log = structlog.get_logger()
AGAIN_S: Final = 1.0
"""After Kafka did not answer."""
READY_S: Final = 10.0
"""What could not be polled as this producer is set up is tried again this often."""
Statuses = Mapping[str, Mapping[str, Any]]
Make = Callable[[AnyTarget, Mapping[str, Any]], Reader]
"""The reader of a target of which this status is known; Misconfigured, if it cannot be had."""
Release = Callable[[Iterable[str], Callable[[], None]], None]
"""Ends targets, then calls back."""


class Taking:
    """The partitions of one member. What is told of them may come from another thread than `run`'s."""

    def __init__(
        self,
        settings: KafkaSettings,
        source: str,
        publication: Publication,
        *,
        make: Make,
        change: Callable[[Change], None],
        release: Release,
    ) -> None:
        self._settings, self._source, self._publication = settings, source, publication
        self._make, self._change, self._release = make, change, release
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._read: dict[int, dict[str, dict[str, Any]]] = {}
        """Partition → host → its record, of partitions that are ours."""
        self._whole: set[int] = set()
        """Those read to their end."""
        self._news: set[int] = set()
        """Those of which the loop does not know all."""
        self._taken: dict[int, dict[str, AnyTarget]] = {}
        """Partition → host → target, as the loop knows them."""
        self._again: set[int] = set()
        """Those that are ours again, though others may have polled them meanwhile."""
        self._unready: dict[str, AnyTarget] = {}

    def assigned(self, numbers: Iterable[int]) -> None:
        """These are ours from now on, and are read from their beginning."""
        with self._lock:
            for number in numbers:
                self._read[number] = {}
                if number in self._taken:
                    self._again.add(number)

    def record(self, number: int, record: dict[str, Any] | None) -> None:
        """The next record of a partition; None: a tombstone, which says no more than the record before it."""
        with self._lock:
            if number not in self._read or record is None or record["source"] != self._source:
                return
            self._read[number][record["host"]] = record
            self._news.add(number)
        self._wake.set()

    def whole(self, number: int) -> None:
        """A partition has been read to its end."""
        with self._lock:
            if number not in self._read or number in self._whole:
                return
            self._whole.add(number)
            self._news.add(number)
        self._wake.set()

    def released(self, numbers: Iterable[int]) -> threading.Event:
        """These are not ours any more; set when nothing of them is polled."""
        done = threading.Event()
        with self._lock:
            hosts: list[str] = []
            for number in numbers:
                self._read.pop(number, None)
                hosts += self._taken.pop(number, {})
            gone = set(numbers)
            self._whole -= gone
            self._news -= gone
            self._again -= gone
            self._unready = {host: target for host, target in self._unready.items() if host not in hosts}
            self._release(hosts, done.set)
        return done

    def run(self, stop: threading.Event) -> None:
        """Takes what there is to take, until `stop` is set."""
        retry_s = time.monotonic() + READY_S
        while not stop.is_set():
            self._wake.wait(AGAIN_S)
            self._wake.clear()
            try:
                self._settle()
            except KafkaException as error:
                log.warning("statuses not read, targets wait", why=error.args[0].str())
                stop.wait(AGAIN_S)
                self._wake.set()
            if time.monotonic() >= retry_s:
                self._retry()
                retry_s = time.monotonic() + READY_S

    def _settle(self) -> None:
        with self._lock:
            numbers = self._news & self._whole
            records = {number: dict(self._read[number]) for number in numbers}
            new = {number for number in numbers if number not in self._taken or number in self._again}
        if not records:
            return
        known = self._statuses(new) if new else {}
        for number, each in records.items():
            self._settle_one(number, each, known if number in new else None)

    def _settle_one(self, number: int, records: Mapping[str, dict[str, Any]], statuses: Statuses | None) -> None:
        """`statuses`: of a partition that is new to the loop, or is ours again."""
        known = {host: status for host, status in (statuses or {}).items() if host in records}
        old = self._taken.get(number, {})
        wanted = {host: each for host, record in records.items() if (each := self._target(record, old.get(host)))}
        begin, end = difference(old, wanted)
        unready: dict[str, AnyTarget] = {}
        readers = tuple(self._reader(target, known.get(target.host, {}), unready) for target in begin)
        gone = tuple(known[host] for host in known if host not in wanted and not known[host]["removed"])
        with self._lock:
            if number not in self._whole:
                return  # it went meanwhile
            if self._read[number] == records:
                self._news.discard(number)
            self._again.discard(number)
            self._taken[number] = wanted
            self._unready = {host: each for host, each in self._unready.items() if host not in end} | unready
            mine = wanted if statuses is not None else [reader.host for reader in readers if reader.host not in end]
            self._publication.begin(mine, max((each["epoch"] for each in known.values()), default=""))
            if readers or end or gone:
                self._change(Change(readers, end, known, gone))
        log.info("targets taken", source=self._source, partition=number, begun=len(readers), targets=len(wanted))

    def _target(self, record: dict[str, Any], old: AnyTarget | None) -> AnyTarget | None:
        if record["removed"]:
            return None
        try:
            return shared.target(record)
        except ValueError as error:
            log.error("target refused", host=record["host"], why=str(error))  # noqa: TRY400  says all
            return old

    def _reader(self, target: AnyTarget, known: Mapping[str, Any], unready: dict[str, AnyTarget]) -> Reader:
        try:
            return self._make(target, known)
        except Misconfigured as error:
            unready[target.host] = target
            return Unready(self._source, target, str(error))

    def _retry(self) -> None:
        """Readers of what could not be polled before; each replaces the one that says so."""
        for host, target in list(self._unready.items()):
            still: dict[str, AnyTarget] = {}
            reader = self._reader(target, {}, still)
            if still:
                continue
            with self._lock:
                if self._unready.get(host) is target:
                    del self._unready[host]
                    self._change(Change((reader,), frozenset([host])))

    def _statuses(self, numbers: set[int]) -> Statuses:
        found = compacted_topic.newest(self._settings, "state-targets", partitions=numbers).values()
        return {each["host"]: each for each in found if each["source"] == self._source}
