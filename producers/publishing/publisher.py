"""Publisher of raw records: adds headers, encodes, passes them to the outbox, counts drops."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypedDict

import structlog
from prometheus_client import Counter

from producers.publishing.drop_report import DropReporter, SeriesKey
from producers.publishing.outbox import Outbox
from producers.publishing.sequence_journal import SequenceJournal
from producers.publishing.spool import DroppedRange, OutgoingRecord, Spool, SpoolSettings
from producers.publishing.subject import ADDRESS_FIELDS, RemovedTarget, Subject
from producers.reader import Problems, Sample
from runtime import metrics, observability
from runtime.kafka import MAX_RECORD_BYTES, KafkaPublisher
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.header import RecordHeader
from schemas.records import PollError, SequenceRange

log = structlog.get_logger()
SPOOL_SUFFIX: Final = ".spool.db"
RESERVED_BYTES: Final = 4096
"""Bytes that Kafka's framing of a record may take."""


class RawHeader(RecordHeader):
    """Header of raw records."""

    monotonic_s: float
    producer: str
    previous_epoch: str | None
    previous_sequence: int | None
    dropped: list[SequenceRange]
    duration_s: float
    interval_s: float
    errors: list[PollError]


class SpoolState(TypedDict):
    """Fields of a heartbeat about the spool."""

    spooled: int
    spooled_bytes: int
    spool_oldest_at: datetime | None
    rejected: int


class _NextSequence(NamedTuple):
    epoch: str
    sequence: int


class RecordPublisher:
    """Numbers and publishes the records of one producer process. Thread-safe.

    Records that Kafka does not accept are spooled. Records that are dropped nevertheless (they are too large, or the
    spool is full) are counted, and reported by range in the header of the next record of their host and category.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        producer: str,
        *,
        journal: SequenceJournal,
        spool: Spool,
        publisher: KafkaPublisher | None = None,
        ready: bool = True,
    ) -> None:
        """Starts publishing.

        Args:
            settings: Kafka and topics.
            producer: Name of the producer.
            journal: Its journal.
            spool: Its spool; records left there are sent first.
            publisher: The client; by default a new one.
            ready: True if topics and schemas are on Kafka; otherwise nothing is sent before `set_ready`.
        """
        self._topics = settings.catalog
        self._aliases = {topic.name: alias for alias, topic in self._topics.topics.items()}
        self._journal = journal
        self._epochs: dict[str, str] = {}
        """Target → epoch of its records, where it differs from that of the start."""
        self._released: set[str] = set()
        """Targets that another producer polls now."""
        self._next: dict[SeriesKey, _NextSequence] = {}
        self._drop_reporter = DropReporter(spool.unreported_drops())
        self._hosts: dict[str, dict[str, None]] = {}
        """Target → hosts that its records describe."""
        self._ages = observability.SampleAges("published")
        self._counters: dict[str, Counter] = {}
        """Topic alias → counter of its records."""
        self._is_closed = False
        self.producer = producer
        self.epoch = journal.epoch
        """Epoch of this start: used by heartbeats, and by records of targets that no other producer polls."""
        self.records = 0
        """Records that the broker has confirmed."""
        self.dropped = 0
        """Records dropped."""
        # Last, because delivery reports of records of an earlier run arrive from here on.
        self._outbox = Outbox(
            publisher or KafkaPublisher(settings, producer),
            spool,
            on_delivered=self._record_delivered,
            on_dropped=self._record_dropped,
            on_saved=self._record_saved,
            ready=ready,
        )
        self._lock = self._outbox.lock  # delivery reports may be handled within `publish`

    @classmethod
    def open(
        cls,
        settings: KafkaSettings,
        producer: str,
        *,
        file: str | None = None,
        abandoned: Iterable[str] = (),
        ready: bool = True,
    ) -> Self:
        """Opens journal and spool in the data directory and starts publishing.

        Args:
            settings: Kafka, topics and data directory.
            producer: Name of the producer.
            file: Name of its files, if not that of the producer.
            abandoned: Names of files of processes that have ended; their spooled records are sent as well.
            ready: See the constructor.

        Raises:
            Misconfigured: A file cannot be opened, as while another process of this name is running.
        """
        file = file or producer
        limits = SpoolSettings.read()
        folder = settings.data_dir / "producers"

        def open_spool(path: Path) -> Spool:
            return Spool(path, max_bytes=limits.max_bytes, max_age_s=limits.max_age_s)

        def spool_path(name: str) -> Path:
            return (limits.directory or folder) / f"{name}{SPOOL_SUFFIX}"

        spool = open_spool(spool_path(file))
        try:
            for path in map(spool_path, abandoned):
                if not path.exists():
                    continue
                with closing(open_spool(path)) as other:
                    if count := spool.absorb(other):
                        log.info("taking over spooled records of an ended process", count=count, file=str(path))
            journal = SequenceJournal(folder / f"{file}.db")
            return cls(settings, producer, journal=journal, spool=spool, ready=ready)
        except Exception:
            spool.close()
            raise

    @property
    def queued(self) -> int:
        """Number of unconfirmed records, in memory and on disk."""
        return self._outbox.outstanding

    @property
    def has_queued_states(self) -> bool:
        """True if a status or heartbeat is unconfirmed."""
        return self._outbox.has_states

    @property
    def unsaved(self) -> int:
        """Number of those that a kill -9 would lose: neither confirmed nor on disk."""
        return self._outbox.unsaved

    @property
    def is_stalled(self) -> bool:
        """True if Kafka does not confirm records."""
        return self._outbox.is_stalled

    @property
    def spool_state(self) -> SpoolState:
        """State of the spool, for heartbeats."""
        usage = self._outbox.spool_usage
        return {
            "spooled": usage.records,
            "spooled_bytes": usage.bytes,
            "spool_oldest_at": None if usage.oldest_at is None else datetime.fromtimestamp(usage.oldest_at, UTC),
            "rejected": self._outbox.rejected,
        }

    def start_epoch(self, targets: Iterable[str], after: str = "") -> None:
        """Starts a new epoch for targets taken over from other producers; it retires earlier ones.

        Args:
            targets: The targets.
            after: The newest epoch known of any of them, since clocks differ.
        """
        with self._lock:
            epoch = self._journal.start_epoch(after)
            for host in targets:
                self._epochs[host] = epoch
                self._released.discard(host)

    def release(self, targets: Iterable[str]) -> None:
        """Discards further records of targets that another producer polls now."""
        with self._lock:
            self._released.update(targets)

    def epoch_of(self, target: str) -> str:
        """Returns the epoch of a target's records."""
        return self._epochs.get(target, self.epoch)

    def set_ready(self) -> None:
        """Starts sending to Kafka: topics and schemas are there."""
        self._outbox.set_ready()

    def publish(
        self,
        alias: str,
        subject: Subject,
        category: str,
        sample: Sample,
        *,
        began_s: float,
        wait_for_disk: bool = True,
    ) -> None:
        """Publishes a sample as one raw record.

        While Kafka does not accept records, it returns when this one is on disk, or after spooler.SAVE_TIMEOUT_S.

        Args:
            alias: Alias of the topic.
            subject: Target or application.
            category: The category polled.
            sample: The result of the poll.
            began_s: `time.monotonic()` when the poll began.
            wait_for_disk: False returns at once.

        Raises:
            ValueError: The sample does not fit the schema; the record counts as dropped.
        """
        topic = self._topics[alias]
        monotonic_s = time.monotonic()
        key = (sample.host or subject.host, category)
        with self._lock:
            if self._is_closed or subject.host in self._released:
                return  # a late poll: no sequence has been assigned, so none is missing
            self._hosts.setdefault(subject.host, {})[key[0]] = None
            header = self._header(subject, key, sample, monotonic_s, monotonic_s - began_s)
            epoch, sequence = header["epoch"], header["sequence"]
            record = {**header, **sample.body}
            try:
                value = codec.encode(catalog.schema(topic.schema), record)
            except ValueError:
                self._drop(key, epoch, sequence, "does not fit its schema")
                raise
            if len(value) > MAX_RECORD_BYTES - RESERVED_BYTES:
                self._drop(key, epoch, sequence, f"larger than {MAX_RECORD_BYTES} bytes")
                return
            if self._outbox.accepts_directly:  # otherwise when it is on disk: a record lost before was never published
                self._journal.record(*key, sequence, epoch)
            if header["dropped"]:
                self._drop_reporter.mark_reported(key, epoch, sequence)
            pending = self._outbox.send(
                OutgoingRecord(time.time(), *key, epoch, sequence, topic.name, topic.key_of(record), value)
            )
        self._outbox.serve()
        if wait_for_disk:
            self._outbox.wait_until_safe(pending)

    def publish_removed(self, alias: str, target: RemovedTarget) -> None:
        """Publishes a final `removed` record per host of the target, so that alerts are cleared."""
        if (address_field := ADDRESS_FIELDS.get(alias)) is None:
            return
        for host in self._hosts.pop(target.host, {target.host: None}):
            if any(host in hosts for hosts in self._hosts.values()):
                continue  # another target describes it too
            sample = Sample({address_field: target.address}, Problems(), host)
            self.publish(alias, target, catalog.REMOVED_CATEGORY, sample, began_s=time.monotonic(), wait_for_disk=False)

    def publish_state(self, alias: str, record: Mapping[str, Any]) -> None:
        """Publishes a status or heartbeat; while Kafka is unavailable, keeps the newest per key.

        State records are not spooled: a later one replaces an earlier one, and presence depends on their arrival time.
        """
        topic = self._topics[alias]
        value = codec.encode(catalog.schema(topic.schema), record)
        self._outbox.send_state(topic.name, topic.key_of(record), value)
        self._outbox.poll()

    def poll(self) -> None:
        """Handles delivery reports and updates the metrics."""
        self._outbox.poll()
        usage = self._outbox.spool_usage
        metrics.QUEUED_RECORDS.set(self._outbox.outstanding)
        metrics.SPOOLED_RECORDS.set(usage.records)
        metrics.SPOOLED_BYTES.set(usage.bytes)

    def close(self, timeout_s: float) -> int:
        """Sends what Kafka accepts in time; the rest stays on disk for the next start.

        Returns:
            Number of records lost, because the disk did not accept them either. The journal has their sequences.
        """
        with self._lock:
            self._is_closed = True
        lost = self._outbox.close(timeout_s)
        kept = self._outbox.outstanding - lost
        if kept:
            log.warning("records kept on disk for the next start", count=kept, reason="not accepted by Kafka in time")
        if lost:
            log.error("records lost at stop", count=lost, reason="not accepted by Kafka or the disk in time")
        self._journal.close()
        return lost

    def _header(
        self, subject: Subject, key: SeriesKey, sample: Sample, monotonic_s: float, duration_s: float
    ) -> RawHeader:
        host, category = key
        epoch = self.epoch_of(subject.host)
        current_epoch, sequence = self._next.get(key, _NextSequence("", 0))
        previous = None
        if current_epoch != epoch:
            previous, sequence = self._journal.last(*key), 0
        self._next[key] = _NextSequence(epoch, sequence + 1)
        return {
            "host": host,
            "category": category,
            "observed_at": datetime.now(UTC),
            "monotonic_s": monotonic_s,
            "producer": self.producer,
            "epoch": epoch,
            "sequence": sequence,
            "previous_epoch": previous[0] if previous else None,
            "previous_sequence": previous[1] if previous else None,
            "dropped": self._drop_reporter.header_entries(key, epoch),
            "duration_s": duration_s,
            "interval_s": subject.intervals[category],
            "errors": sample.problems.as_records(),
            "labels": dict(subject.labels),
        }

    def _record_delivered(self, record: OutgoingRecord) -> None:
        self.records += 1
        alias = self._aliases.get(record.topic, record.topic)
        counter = self._counters.get(alias)
        if counter is None:
            counter = self._counters[alias] = metrics.RECORDS_OUT.labels(alias)
        counter.inc()
        self._ages.record_one(alias, record.at, time.time())
        if reported := self._drop_reporter.confirm((record.host, record.category), record.epoch, record.sequence):
            self._outbox.delete_drops(reported)

    def _record_saved(self, records: Sequence[OutgoingRecord]) -> None:
        for record in records:
            if record.epoch == self._next.get((record.host, record.category), _NextSequence("", 0)).epoch:
                self._journal.record(record.host, record.category, record.sequence, record.epoch)

    def _drop(self, key: SeriesKey, epoch: str, sequence: int, cause: str) -> None:
        self._journal.record(*key, sequence, epoch)
        drop = DroppedRange(*key, epoch, sequence, sequence, cause)
        self._outbox.store_drop(drop)
        self._record_dropped(drop)

    def _record_dropped(self, drop: DroppedRange) -> None:
        self.dropped += drop.count
        metrics.RECORDS_DROPPED.labels(drop.cause).inc(drop.count)
        if self._drop_reporter.add(drop):
            log.error(
                "record dropped",
                host=drop.host,
                category=drop.category,
                sequence=drop.first,
                count=drop.count,
                reason=drop.cause,
            )
