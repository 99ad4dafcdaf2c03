"""The one path from a sample to Kafka: header, number, encode, hand over; what is dropped is counted and named."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import KafkaError
from prometheus_client import Counter

from producers.journal import Journal
from producers.reader import Problems, Sample
from runtime import metrics, observe
from runtime.kafka import MAX_RECORD_BYTES, Publisher
from runtime.settings import KafkaSettings
from schemas import catalog, codec

log = structlog.get_logger()
Record = dict[str, Any]
RESERVED: Final = 4096
"""Bytes that Kafka's own framing of a record may take."""


class Origin(Protocol):
    """What a record is about: a reader, or an application that reports by itself."""

    @property
    def host(self) -> str:
        """The fleet's name of it."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of it."""
        ...

    @property
    def intervals(self) -> Mapping[str, float]:
        """Category → seconds between two records; 0: they come when they come."""
        ...


ADDRESS: Final = {"raw-redfish": "address", "raw-libvirt": "uri"}
"""Alias of a topic about targets → the field with the target's address. Who reports by himself is no target."""


@dataclass(frozen=True)
class Left:
    """A target that is none any more."""

    host: str
    address: str
    labels: Mapping[str, str]

    @property
    def intervals(self) -> Mapping[str, float]:
        """Its one record has none."""
        return {catalog.REMOVED: 0.0}


class Publication:
    """Numbers and hands over the records of one producer process. Thread-safe.

    Until a spool takes over, librdkafka's queue holds what the broker does not take. When it is full, new records are
    dropped: counted, and named by range in the header of the next record that gets through.
    """

    def __init__(
        self, settings: KafkaSettings, journal: Journal, producer: str, publisher: Publisher | None = None
    ) -> None:
        self._topics = settings.catalog
        self._publisher = publisher or Publisher(settings, producer)
        self._journal = journal
        self._lock = threading.RLock()  # a delivery report may be served within `publish`
        self._next: dict[tuple[str, str], int] = {}
        self._dropped: dict[tuple[str, str], list[Record]] = {}
        self._hosts: dict[str, dict[str, None]] = {}
        """Target → the hosts that records of it were about."""
        self._published = observe.Ages("published")
        self._confirmed: dict[str, Counter] = {}
        """Alias → what counts its records."""
        self._closed = False
        self.producer = producer
        self.epoch = journal.epoch
        self.records = 0
        """Records the broker has confirmed."""
        self.dropped = 0
        """Records given up."""

    @property
    def queued(self) -> int:
        """Records not yet confirmed."""
        return self._publisher.outstanding

    def publish(self, alias: str, origin: Origin, category: str, sample: Sample, *, began_s: float) -> None:
        """Makes one raw record of a sample and hands it over.

        Args:
            alias: the topic's alias.
            origin: what was polled, or reports.
            category: the category polled.
            sample: what was read.
            began_s: `time.monotonic()` when the poll began.
        """
        topic = self._topics[alias]
        monotonic_s = time.monotonic()
        key = (sample.host or origin.host, category)
        with self._lock:
            if self._closed:
                return  # a poll that was not waited for: it has no number, so nothing is missing
            self._hosts.setdefault(origin.host, {})[key[0]] = None
            header = self._header(origin, key, sample, monotonic_s, monotonic_s - began_s)
            sequence = header["sequence"]
            record = header | sample.body
            try:
                value = codec.encode(catalog.schema(topic.schema), record)
            except ValueError:
                self._drop(key, sequence, "does not fit its schema")
                raise
            if len(value) > MAX_RECORD_BYTES - RESERVED:
                self._drop(key, sequence, f"larger than {MAX_RECORD_BYTES} bytes")
                return
            try:
                self._publisher.send(topic.name, topic.key_of(record), value, self._done(alias, key, header))
            except BufferError:
                self._drop(key, sequence, "queue full")
            else:
                self._dropped.pop(key, None)
        self._publisher.poll(0)

    def farewell(self, alias: str, left: Left) -> None:
        """The last record of each host that a target was about: alerts of it end, for nobody looks any more."""
        if (address := ADDRESS.get(alias)) is None:
            return
        for host in self._hosts.pop(left.host, {left.host: None}):
            if any(host in others for others in self._hosts.values()):
                continue  # another target tells of it, too
            sample = Sample({address: left.address}, Problems(), host)
            self.publish(alias, left, catalog.REMOVED, sample, began_s=time.monotonic())

    def state(self, alias: str, record: Record) -> None:
        """Hands over a status or heartbeat record; dropped silently when the queue is full, for a newer one follows."""
        topic = self._topics[alias]
        value = codec.encode(catalog.schema(topic.schema), record)
        try:
            self._publisher.send(topic.name, topic.key_of(record), value)
        except BufferError:
            log.debug("state record not queued", topic=topic.name)
        self._publisher.poll(0)

    def poll(self) -> None:
        """Serves delivery reports."""
        self._publisher.poll(0)
        metrics.QUEUED.set(self._publisher.outstanding)

    def close(self, timeout_s: float) -> int:
        """Hands over what is queued; returns how many records had to be given up. Their numbers are in the journal."""
        with self._lock:
            self._closed = True
        left = self._publisher.flush(timeout_s)
        if left:
            self._publisher.purge()
            log.error("records given up at stop", count=left, why="Kafka did not take them in time")
        with self._lock:
            self._journal.close()
        return left

    def _header(
        self, origin: Origin, key: tuple[str, str], sample: Sample, monotonic_s: float, duration_s: float
    ) -> Record:
        host, category = key
        previous = None if key in self._next else self._journal.last(*key)
        sequence = self._next.get(key, 0)
        self._next[key] = sequence + 1
        self._journal.number(*key, sequence)
        return {
            "host": host,
            "category": category,
            "observed_at": datetime.now(UTC),
            "monotonic_s": monotonic_s,
            "producer": self.producer,
            "epoch": self.epoch,
            "sequence": sequence,
            "previous_epoch": previous[0] if previous else None,
            "previous_sequence": previous[1] if previous else None,
            "dropped": self._dropped.get(key, []),
            "duration_s": duration_s,
            "interval_s": origin.intervals[category],
            "errors": sample.problems.as_records(),
            "labels": dict(origin.labels),
        }

    def _done(self, alias: str, key: tuple[str, str], header: Record) -> Callable[[KafkaError | None], None]:
        sequence, moment = header["sequence"], header["observed_at"]
        confirmed = self._confirmed.get(alias)
        if confirmed is None:
            confirmed = self._confirmed[alias] = metrics.RECORDS_OUT.labels(alias)

        def done(error: KafkaError | None) -> None:
            if error is None:
                self.records += 1
                confirmed.inc()
                self._published.note(alias, (moment,), time.time())
            else:
                with self._lock:
                    self._drop(key, sequence, error.str())

        return done

    def _drop(self, key: tuple[str, str], sequence: int, cause: str) -> None:
        ranges = list(self._dropped.get(key, ()))
        if ranges and ranges[-1]["cause"] == cause and ranges[-1]["last"] == sequence - 1:
            ranges[-1] = ranges[-1] | {"last": sequence}
        else:
            ranges.append({"first": sequence, "last": sequence, "cause": cause})
        self._dropped[key] = ranges
        self.dropped += 1
        metrics.RECORDS_DROPPED.labels(cause).inc()
        if len(ranges) == 1 and ranges[0]["first"] == sequence:
            log.error("record dropped", host=key[0], category=key[1], sequence=sequence, why=cause)
