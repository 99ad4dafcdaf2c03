"""The one path from a sample to Kafka: header, number, encode, hand over; what is dropped is counted and named."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import structlog
from prometheus_client import Counter

from producers.publishing.drop_report import Naming
from producers.publishing.outbox import Outbox
from producers.publishing.sequence_journal import Journal
from producers.publishing.spool import Drop, Row, Spool, SpoolSettings
from producers.publishing.subject import ADDRESS, Left, Origin
from producers.reader import Problems, Sample
from runtime import metrics, observability
from runtime.kafka import MAX_RECORD_BYTES, Publisher
from runtime.settings import KafkaSettings
from schemas import catalog, codec

log = structlog.get_logger()
Record = dict[str, Any]
SPOOL: Final = ".spool.db"
RESERVED: Final = 4096
"""Bytes that Kafka's own framing of a record may take."""


class Publication:
    """Numbers and hands over the records of one producer process. Thread-safe.

    What Kafka does not take goes to the spool. Records that are dropped all the same (they are too large, or the spool
    is full) are counted, and named by range in the header of the next record of their host and category.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        producer: str,
        *,
        journal: Journal,
        spool: Spool,
        publisher: Publisher | None = None,
        ready: bool = True,
    ) -> None:
        """`ready`: the topics and schemas are known to be on Kafka; else nothing goes there before `ready()`."""
        self._topics = settings.catalog
        self._aliases = {topic.name: alias for alias, topic in self._topics.topics.items()}
        self._journal = journal
        self._epochs: dict[str, str] = {}
        """Target → the epoch of its records, where it is not the start's."""
        self._released: set[str] = set()
        """Targets that are another producer's now."""
        self._next: dict[tuple[str, str], tuple[str, int]] = {}
        """Host and category → epoch, and the next sequence in it."""
        self._naming = Naming(spool.drops())
        self._hosts: dict[str, dict[str, None]] = {}
        """Target → the hosts that records of it were about."""
        self._published = observability.Ages("published")
        self._confirmed: dict[str, Counter] = {}
        """Alias → what counts its records."""
        self._closed = False
        self.producer = producer
        self.epoch = journal.epoch
        """Of this start: heartbeats have it, and the records of targets that nobody else polls."""
        self.records = 0
        """Records the broker has confirmed."""
        self.dropped = 0
        """Records given up."""
        # Last: where an earlier run left records, reports come from here on.
        self._outbox = Outbox(
            publisher or Publisher(settings, producer),
            spool,
            confirmed=self._taken,
            given_up=self._dropped,
            saved=self._saved,
            ready=ready,
        )
        self._lock = self._outbox.lock  # a delivery report may be served within `publish`

    @classmethod
    def open(
        cls,
        settings: KafkaSettings,
        producer: str,
        *,
        file: str | None = None,
        left: Iterable[str] = (),
        ready: bool = True,
    ) -> Self:
        """With journal and spool at their places.

        `file`: what they are called, if not as the producer. `left`: files of others that do not run any more, and
        whose spooled records are sent, too.

        Raises:
            Misconfigured: one of them cannot be opened, as while another process of this name runs.
        """
        file = file or producer
        wanted = SpoolSettings.read()
        folder = settings.data_dir / "producers"

        def at(name: str) -> Path:
            return (wanted.directory or folder) / f"{name}{SPOOL}"

        spool = Spool(at(file), max_bytes=wanted.max_bytes, max_age_s=wanted.max_age_s)
        try:
            for path in (path for path in map(at, left) if path.exists()):
                with closing(Spool(path, max_bytes=wanted.max_bytes, max_age_s=wanted.max_age_s)) as other:
                    if count := spool.take_over(other):
                        log.info(
                            "spooled records of a process that has ended are taken over", count=count, file=str(path)
                        )
            return cls(settings, producer, journal=Journal(folder / f"{file}.db"), spool=spool, ready=ready)
        except Exception:
            spool.close()
            raise

    @property
    def queued(self) -> int:
        """Records not yet confirmed, in memory and on disk."""
        return self._outbox.outstanding

    @property
    def unsaved(self) -> int:
        """Those of them that a kill -9 would lose: neither confirmed nor on disk."""
        return self._outbox.unsaved

    @property
    def spool(self) -> Record:
        """How the spool stands, in the heartbeat's words."""
        records, size, oldest_at = self._outbox.spooled
        return {
            "spooled": records,
            "spooled_bytes": size,
            "spool_oldest_at": None if oldest_at is None else datetime.fromtimestamp(oldest_at, UTC),
            "rejected": self._outbox.rejected,
        }

    def begin(self, targets: Iterable[str], after: str = "") -> None:
        """Records of these targets, taken over from others of a group, have a new epoch: it retires all before it.

        `after`: the newest epoch known of any of them, for clocks differ.
        """
        with self._lock:
            epoch = self._journal.begin(after)
            for host in targets:
                self._epochs[host] = epoch
                self._released.discard(host)

    def release(self, targets: Iterable[str]) -> None:
        """Polls of these that are under way come too late: who took them over polls them."""
        with self._lock:
            self._released.update(targets)

    def epoch_of(self, target: str) -> str:
        """The epoch of a target's records."""
        return self._epochs.get(target, self.epoch)

    def ready(self) -> None:
        """Topics and schemas are on Kafka: records may go there."""
        self._outbox.ready()

    def publish(
        self, alias: str, origin: Origin, category: str, sample: Sample, *, began_s: float, patient: bool = True
    ) -> None:
        """Makes one raw record of a sample and hands it over.

        While Kafka does not take records, it returns when this one is on disk, or after outbox.WAIT_S.

        Args:
            alias: the topic's alias.
            origin: what was polled, or reports.
            category: the category polled.
            sample: what was read.
            began_s: `time.monotonic()` when the poll began.
            patient: False: the disk is not waited for.
        """
        topic = self._topics[alias]
        monotonic_s = time.monotonic()
        key = (sample.host or origin.host, category)
        with self._lock:
            if self._closed or origin.host in self._released:
                return  # a poll that was not waited for: it has no number, so nothing is missing
            self._hosts.setdefault(origin.host, {})[key[0]] = None
            header = self._header(origin, key, sample, monotonic_s, monotonic_s - began_s)
            epoch, sequence = header["epoch"], header["sequence"]
            record = header | sample.body
            try:
                value = codec.encode(catalog.schema(topic.schema), record)
            except ValueError:
                self._drop(key, epoch, sequence, "does not fit its schema")
                raise
            if len(value) > MAX_RECORD_BYTES - RESERVED:
                self._drop(key, epoch, sequence, f"larger than {MAX_RECORD_BYTES} bytes")
                return
            if self._outbox.straight:  # else when it is on disk: until then it is not handed over
                self._journal.number(*key, sequence, epoch)
            if header["dropped"]:
                self._naming.carried_by(key, epoch, sequence)
            row = Row(time.time(), *key, epoch, sequence, topic.name, topic.key_of(record), value)
            entry = self._outbox.send(row)
        self._outbox.serve()
        if patient:
            self._outbox.settle(entry)

    def farewell(self, alias: str, left: Left) -> None:
        """The last record of each host that a target was about: alerts of it end, for nobody looks any more."""
        if (address := ADDRESS.get(alias)) is None:
            return
        for host in self._hosts.pop(left.host, {left.host: None}):
            if any(host in others for others in self._hosts.values()):
                continue  # another target tells of it, too
            sample = Sample({address: left.address}, Problems(), host)
            self.publish(alias, left, catalog.REMOVED, sample, began_s=time.monotonic(), patient=False)

    def state(self, alias: str, record: Record) -> None:
        """Hands over a status or heartbeat record; of those that Kafka does not take, the newest of each key is kept.

        They are not spooled: a later one says all that an earlier said, and presence goes by when they reach Kafka.
        """
        topic = self._topics[alias]
        value = codec.encode(catalog.schema(topic.schema), record)
        self._outbox.state(topic.name, topic.key_of(record), value)
        self._outbox.poll()

    def poll(self) -> None:
        """Serves delivery reports."""
        self._outbox.poll()
        records, size, _ = self._outbox.spooled
        metrics.QUEUED.set(self._outbox.outstanding)
        metrics.SPOOLED_RECORDS.set(records)
        metrics.SPOOLED_BYTES.set(size)

    def close(self, timeout_s: float) -> int:
        """Hands over what waits, as far as Kafka takes it in time; the rest is on disk for the next start.

        Returns how many records had to be given up, the disk not having taken them either. Their numbers are in the
        journal.
        """
        with self._lock:
            self._closed = True
        left = self._outbox.close(timeout_s)
        kept = self._outbox.outstanding - left
        if kept:
            log.warning("records kept on disk for the next start", count=kept, why="Kafka did not take them in time")
        if left:
            log.error("records given up at stop", count=left, why="neither Kafka nor the disk took them in time")
        self._journal.close()
        return left

    def _header(
        self, origin: Origin, key: tuple[str, str], sample: Sample, monotonic_s: float, duration_s: float
    ) -> Record:
        host, category = key
        epoch = self._epochs.get(origin.host, self.epoch)
        known_epoch, sequence = self._next.get(key, ("", 0))
        previous = None
        if known_epoch != epoch:
            previous, sequence = self._journal.last(*key), 0
        self._next[key] = (epoch, sequence + 1)
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
            "dropped": self._naming.of(key, epoch),
            "duration_s": duration_s,
            "interval_s": origin.intervals[category],
            "errors": sample.problems.as_records(),
            "labels": dict(origin.labels),
        }

    def _taken(self, row: Row) -> None:
        self.records += 1
        alias = self._aliases.get(row.topic, row.topic)
        confirmed = self._confirmed.get(alias)
        if confirmed is None:
            confirmed = self._confirmed[alias] = metrics.RECORDS_OUT.labels(alias)
        confirmed.inc()
        self._published.note_one(alias, row.at, time.time())
        if named := self._naming.confirmed((row.host, row.category), row.epoch, row.sequence):
            self._outbox.named(named)

    def _saved(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.epoch == self._next.get((row.host, row.category), ("", 0))[0]:
                self._journal.number(row.host, row.category, row.sequence, row.epoch)

    def _drop(self, key: tuple[str, str], epoch: str, sequence: int, cause: str) -> None:
        self._journal.number(*key, sequence, epoch)
        drop = Drop(*key, epoch, sequence, sequence, cause)
        self._outbox.note(drop)
        self._dropped(drop)

    def _dropped(self, drop: Drop) -> None:
        self.dropped += drop.count
        metrics.RECORDS_DROPPED.labels(drop.cause).inc(drop.count)
        if self._naming.take(drop):
            told = {"host": drop.host, "category": drop.category, "sequence": drop.first}
            log.error("record dropped", **told, count=drop.count, why=drop.cause)
