"""Feeds a view from Kafka: one thread consumes records, another polls offsets and consumer-group lag.

Compacted topics are read from the start, all others from a few minutes back; then all are followed. Kafka may be
unavailable at any time, and topics may be created later.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from rackstream.topics.schema_lookup import Connect, SchemaLookup
from rackstream.view.kafka_offsets import OffsetRanges, OffsetsClient, offset_snapshot
from rackstream.view.model import View
from rackstream.view.state import make_decoder
from runtime import kafka
from runtime.errors import Failure
from runtime.settings import KafkaSettings

log = structlog.get_logger()
COMPACTED_TOPICS: Final = ("state-targets", "state-presence", "silences", "state-health", "control")
ALERT_STATE_TOPIC: Final = "state-alerts"
"""Read once: the log of transitions has everything that follows."""
LOOK_BACK: Final = timedelta(minutes=3)
"""Default age of the oldest readings that are read at the start."""
READING_TOPICS: Final = (
    "raw-redfish",
    "raw-libvirt",
    "raw-host",
    "vm-features",
    "device-rates",
    "host-rates",
    "power",
    "vm-power",
    "heartbeats",
)
EVENT_LOOK_BACK: Final = {"alerts": timedelta(days=1), "dead-letter": timedelta(days=1)}
"""Topics of events, which are read from further back."""
DEFAULT_TOPICS: Final = (*COMPACTED_TOPICS, *READING_TOPICS, *EVENT_LOOK_BACK)
UPDATE_INTERVAL_S: Final = 0.5
UPDATE_BUDGET_S: Final = 0.02
"""Longest time for which an update of the lists blocks queries."""
OFFSETS_INTERVAL_S: Final = 5.0
GROUPS_INTERVAL_S: Final = 15.0
RETRY_S: Final = 1.0
UNEXPECTED_RETRY_S: Final = 5.0
MAX_REASON_LENGTH: Final = 300
CONSUMER_THREAD, OFFSETS_THREAD = "view-consumer", "view-offsets"
MAX_OFFSET: Final = 1 << 63
PartitionId = tuple[str, int]
"""(topic name, partition)."""


class KafkaFeed:
    """Keeps `view` up to date while the context is open."""

    def __init__(
        self,
        settings: KafkaSettings,
        connect: Connect | None = None,
        *,
        topics: Sequence[str] = DEFAULT_TOPICS,
        look_back: timedelta = LOOK_BACK,
    ) -> None:
        """Prepares the feed; the threads start when the context is entered.

        Args:
            settings: Topic names and login.
            connect: Returns settings with Kafka's address, called before every connection attempt; default: `settings`
                already has the address.
            topics: Aliases of the topics to read.
            look_back: Age of the oldest readings to read; zero: only new ones.
        """
        self._settings = settings
        self._connect = connect or (lambda: settings)
        self._topics, self._look_back = topics, look_back
        self.view = View(settings.catalog, make_decoder(settings.catalog, SchemaLookup(self._connect).find))
        self._aliases = {topic.name: alias for alias, topic in settings.catalog.topics.items()}
        self._stop = threading.Event()
        self._next_offsets: dict[PartitionId, int] = {}
        """Offset of the next record to read of each assigned partition."""
        self._initial_ends: dict[PartitionId, int] = {}
        """Partitions whose initial read is not complete, with the end they had when it began."""
        self._threads = [
            threading.Thread(target=self._consume_loop, daemon=True, name=CONSUMER_THREAD),
            threading.Thread(target=self._offsets_loop, daemon=True, name=OFFSETS_THREAD),
        ]
        self._has_new_topics = threading.Event()
        """Set when topics exist that are not assigned yet."""
        self._assigned_topics: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    # Thread "view-consumer"

    def _record_unexpected(self, error: Exception) -> None:
        """Reports the failure on the page; the thread goes on with a new consumer."""
        log.error("view cannot read on", exc_info=error)
        self.view.record_reader_error(repr(error)[:MAX_REASON_LENGTH])
        self._stop.wait(UNEXPECTED_RETRY_S)

    def _consume_loop(self) -> None:
        while not self._stop.is_set():
            self.view.record_progress(CONSUMER_THREAD)
            try:
                settings = self._connect()
                with contextlib.closing(self._create_consumer(settings)) as consumer:
                    self._assign(settings, consumer)
                    self._consume(settings, consumer)
            except (Failure, KafkaException) as error:
                log.debug("view cannot read Kafka", reason=_error_text(error))
                self._stop.wait(RETRY_S)
            except Exception as error:  # noqa: BLE001  a thread that ends would leave a page that looks live
                self._record_unexpected(error)

    @staticmethod
    def _create_consumer(settings: KafkaSettings) -> Consumer:
        # A view commits no offsets: after deleted records it simply continues with the earliest ones left.
        options = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 100}
        return kafka.create_consumer(settings, "rackstream-view", **options)

    def _assign(self, settings: KafkaSettings, consumer: Consumer) -> None:
        """Assigns all existing topics: new ones at their start offsets, others where reading left off."""
        self._has_new_topics.clear()
        client = OffsetsClient(settings)
        names = {settings.catalog[alias].name for alias in self._topics}
        partitions = {name: numbers for name, numbers in client.partitions().items() if name in names}
        new = {name: numbers for name, numbers in partitions.items() if (name, numbers[0]) not in self._next_offsets}
        ranges = client.offset_ranges(new)
        starts = self._start_offsets(client, new, ranges)
        for (name, number), start in starts.items():
            if not self.view.ready and start < ranges[name][number][1]:
                self._initial_ends[name, number] = ranges[name][number][1]
        self._next_offsets |= starts
        self._assigned_topics = frozenset(partitions)
        consumer.assign([TopicPartition(name, number, offset) for (name, number), offset in self._next_offsets.items()])

    def _start_offsets(
        self, client: OffsetsClient, partitions: Mapping[str, Sequence[int]], ranges: OffsetRanges
    ) -> dict[PartitionId, int]:
        now = datetime.now(UTC)
        by_look_back: dict[timedelta, dict[str, Sequence[int]]] = {}
        starts: dict[PartitionId, int] = {}
        for name, numbers in partitions.items():
            alias = self._aliases[name]
            if alias in COMPACTED_TOPICS:
                starts |= {(name, number): offset_range[0] for number, offset_range in ranges[name].items()}
            else:
                look_back = max(self._look_back, EVENT_LOOK_BACK.get(alias, self._look_back))
                by_look_back.setdefault(look_back, {})[name] = numbers
        for look_back, topics in by_look_back.items():
            offsets = client.offsets_at(topics, int((now - look_back).timestamp() * 1000)) if look_back else {}
            for name in topics:
                for number, (_, end) in ranges[name].items():
                    offset = offsets.get((name, number), -1)
                    starts[name, number] = offset if offset >= 0 else end
        return starts

    def _consume(self, settings: KafkaSettings, consumer: Consumer) -> None:
        updated_s = 0.0
        while not self._stop.is_set():
            self.view.record_progress(CONSUMER_THREAD)
            if self._has_new_topics.is_set():
                self._assign(settings, consumer)
            messages = consumer.consume(1000, timeout=0.2)
            records = [record for message in messages if (record := self._record(message)) is not None]
            if records:
                self.view.apply(records)
            if time.monotonic() - updated_s > UPDATE_INTERVAL_S:
                self._update_lists()
                updated_s = time.monotonic()
                self.view.record_reader_error("")
            if not self._initial_ends and not self.view.ready:
                self._finish_initial_read(settings)

    def _record(self, message: Message) -> tuple[str, bytes, bytes | None] | None:
        """Advances the next offset and returns (alias, key, value); None for an error or the end of a partition."""
        partition = message.topic(), message.partition()
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's name of it
                self._initial_ends.pop(partition, None)
            elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
                self._stop.wait(RETRY_S)
            return None
        self._next_offsets[partition] = message.offset() + 1
        if message.offset() + 1 >= self._initial_ends.get(partition, MAX_OFFSET):
            del self._initial_ends[partition]
        return self._aliases[partition[0]], message.key() or b"", message.value()

    def _update_lists(self) -> None:
        while not self.view.update_lists(UPDATE_BUDGET_S) and not self._stop.is_set():
            time.sleep(0)  # lets waiting queries run first

    def _finish_initial_read(self, settings: KafkaSettings) -> None:
        if set(self._topics) >= {"alerts", "state-presence"}:
            self.view.restore_alerts(_newest_values(settings, ALERT_STATE_TOPIC))
        self._update_lists()
        self.view.set_ready()

    # Thread "view-offsets"

    def _offsets_loop(self) -> None:
        client: OffsetsClient | None = None
        groups_s, missing = float("-inf"), [""]
        while not self._stop.is_set():
            self.view.record_progress(OFFSETS_THREAD)
            try:
                settings = self._connect()
                client = client or OffsetsClient(settings)
                partitions = client.partitions()
                ranges = client.offset_ranges(partitions)
                missing = sorted({topic.name for topic in settings.catalog.topics.values()} - partitions.keys())
                groups = None
                if time.monotonic() - groups_s >= GROUPS_INTERVAL_S:
                    groups = client.group_lags(ranges)
                    groups_s = time.monotonic()
            except (Failure, KafkaException) as error:
                client = None
                self.view.record_kafka_error(_error_text(error))
            except Exception as error:
                client = None
                log.exception("offsets cannot be read")
                self.view.record_kafka_error(repr(error)[:MAX_REASON_LENGTH])
            else:
                self.view.record_offsets(offset_snapshot(settings, ranges), groups, missing, datetime.now(UTC))
                names = {self._settings.catalog[alias].name for alias in self._topics}
                if partitions.keys() & names - self._assigned_topics:
                    self._has_new_topics.set()
            self._stop.wait(RETRY_S if missing or client is None else OFFSETS_INTERVAL_S)


def _newest_values(settings: KafkaSettings, alias: str) -> Iterable[bytes]:
    """The newest value of each key of a compacted topic; empty if the topic does not exist."""
    name = settings.catalog[alias].name
    values: dict[bytes | None, bytes] = {}
    client = OffsetsClient(settings)
    ranges = client.offset_ranges({name: client.partitions().get(name, [])})
    for message in kafka.read_ranges(settings, name, ranges.get(name, {})):
        if message.value():
            values[message.key()] = message.value()
        else:
            values.pop(message.key(), None)
    return values.values()


def _error_text(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
