"""Feeds a view from Kafka: one thread reads records, another asks now and then for ends and lag.

Compacted topics are read whole at first, all others from a few minutes back; then everything is followed. Kafka may be
away at any time, and topics may come later.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from rackstream.topics.schema_lookup import Connect, Published
from rackstream.view.kafka_offsets import Asking, answered
from rackstream.view.model import View
from rackstream.view.state import decoding
from runtime import kafka
from runtime.errors import Failure
from runtime.settings import KafkaSettings

log = structlog.get_logger()
STATES: Final = ("state-targets", "state-presence", "silences", "state-health")
"""Compacted topics."""
ACTIVE: Final = "state-alerts"
"""Read once: the log of transitions tells what comes after."""
BACK: Final = timedelta(minutes=3)
"""How far back readings are taken in, unless told otherwise."""
READINGS: Final = (
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
HAPPENED: Final = {"alerts": timedelta(days=1), "dead-letter": timedelta(days=1)}
"""Topics of which more is looked back at."""
SHOWN: Final = (*STATES, *READINGS, *HAPPENED)
SETTLE_EVERY_S: Final = 0.5
SLICE_S: Final = 0.02
"""For so long at most the view is not to be asked."""
ASK_EVERY_S: Final = 5.0
GROUPS_EVERY_S: Final = 15.0
AGAIN_S: Final = 1.0
END: Final = 1 << 63
Place = tuple[str, int]
"""Topic and partition."""


class Feed:
    """Keeps `view` up to date between entry and exit."""

    def __init__(
        self,
        settings: KafkaSettings,
        connect: Connect | None = None,
        *,
        shown: Sequence[str] = SHOWN,
        back: timedelta = BACK,
    ) -> None:
        """Reads the topics `shown` (aliases).

        Args:
            settings: what topics are called, and how to log in.
            connect: asked for the address whenever Kafka is not reached; default: `settings` has it.
            shown: topics to read.
            back: how far back readings are taken in; zero: from now on.
        """
        self._settings = settings
        self._connect = connect or (lambda: settings)
        self._shown, self._back = shown, back
        self.view = View(settings.catalog, decoding(settings.catalog, Published(self._connect).find))
        self._aliases = {topic.name: alias for alias, topic in settings.catalog.topics.items()}
        self._stop = threading.Event()
        self._assigned: dict[Place, int] = {}
        """Where reading begins."""
        self._behind: dict[Place, int] = {}
        """Partitions that are not yet read to the ends they had at first, and these."""
        self._threads = [
            threading.Thread(target=self._reading, daemon=True, name="view-reads"),
            threading.Thread(target=self._asking, daemon=True, name="view-asks"),
        ]
        self._came = threading.Event()
        """Topics are there that were not."""
        self._known: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    # The thread that reads

    def _reading(self) -> None:
        while not self._stop.is_set():
            try:
                settings = self._connect()
                with contextlib.closing(self._reader(settings)) as reader:
                    self._begin(settings, reader)
                    self._follow(settings, reader)
            except (Failure, KafkaException) as error:
                log.debug("the view cannot read", why=_text(error))
                self._stop.wait(AGAIN_S)

    @staticmethod
    def _reader(settings: KafkaSettings) -> Consumer:
        # A view holds no position that a hole could lose something of: it goes on with what is there.
        options = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 100}
        return kafka.consumer(settings, "rackstream-view", **options)

    def _begin(self, settings: KafkaSettings, reader: Consumer) -> None:
        """Finds where to begin with those topics that are there and were not read yet, and reads on with them."""
        self._came.clear()
        asking = Asking(settings)
        wanted = {settings.catalog[alias].name for alias in self._shown}
        partitions = {name: numbers for name, numbers in asking.partitions().items() if name in wanted}
        new = {name: numbers for name, numbers in partitions.items() if (name, numbers[0]) not in self._assigned}
        spans = asking.spans(new)
        starts = self._starts(asking, new, spans)
        for place, start in starts.items():
            name, number = place
            if not self.view.ready and start < spans[name][number][1]:
                self._behind[place] = spans[name][number][1]
        self._assigned |= starts
        self._known = frozenset(partitions)
        reader.assign([TopicPartition(name, number, at) for (name, number), at in self._assigned.items()])

    def _starts(
        self, asking: Asking, partitions: Mapping[str, Sequence[int]], spans: Mapping[str, Mapping[int, kafka.Span]]
    ) -> dict[Place, int]:
        now = datetime.now(UTC)
        backs: dict[timedelta, dict[str, Sequence[int]]] = {}
        starts: dict[Place, int] = {}
        for name, numbers in partitions.items():
            alias = self._aliases[name]
            if alias in STATES:
                starts |= {(name, number): span[0] for number, span in spans[name].items()}
            else:
                backs.setdefault(max(self._back, HAPPENED.get(alias, self._back)), {})[name] = numbers
        for back, found in backs.items():
            offsets = asking.offsets_at(found, int((now - back).timestamp() * 1000)) if back else {}
            for name in found:
                for number, (_, end) in spans[name].items():
                    offset = offsets.get((name, number), -1)
                    starts[name, number] = offset if offset >= 0 else end
        return starts

    def _follow(self, settings: KafkaSettings, reader: Consumer) -> None:
        settled_s = 0.0
        while not self._stop.is_set():
            if self._came.is_set():
                self._begin(settings, reader)
            messages = reader.consume(1000, timeout=0.2)
            records = [record for each in messages if (record := self._record(each)) is not None]
            if records:
                self.view.take(records)
            if time.monotonic() - settled_s > SETTLE_EVERY_S:
                self._settle()
                settled_s = time.monotonic()
            if not self._behind and not self.view.ready:
                self._caught_up(settings)

    def _record(self, message: Message) -> tuple[str, bytes, bytes | None] | None:
        place = message.topic(), message.partition()
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's name of it
                self._behind.pop(place, None)
            elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
                self._stop.wait(AGAIN_S)
            return None
        self._assigned[place] = message.offset() + 1
        if message.offset() + 1 >= self._behind.get(place, END):
            del self._behind[place]
        return self._aliases[place[0]], message.key() or b"", message.value()

    def _settle(self) -> None:
        while not self.view.settle(SLICE_S) and not self._stop.is_set():
            time.sleep(0)  # whoever asks comes first

    def _caught_up(self, settings: KafkaSettings) -> None:
        if set(self._shown) >= {"alerts", "state-presence"}:
            self.view.remember(_newest(settings, ACTIVE))
        self._settle()
        self.view.set_ready()

    # The thread that asks

    def _asking(self) -> None:
        asking: Asking | None = None
        groups_s, missing = float("-inf"), [""]
        while not self._stop.is_set():
            try:
                settings = self._connect()
                asking = asking or Asking(settings)
                partitions = asking.partitions()
                spans = asking.spans(partitions)
                missing = sorted({topic.name for topic in settings.catalog.topics.values()} - partitions.keys())
                groups = None
                if time.monotonic() - groups_s >= GROUPS_EVERY_S:
                    groups = asking.groups(spans)
                    groups_s = time.monotonic()
            except (Failure, KafkaException) as error:
                asking = None
                self.view.note_trouble(_text(error))
            else:
                self.view.note(answered(settings, spans), groups, missing, datetime.now(UTC))
                if partitions.keys() & {self._settings.catalog[alias].name for alias in self._shown} - self._known:
                    self._came.set()
            self._stop.wait(AGAIN_S if missing or asking is None else ASK_EVERY_S)


def _newest(settings: KafkaSettings, alias: str) -> Iterable[bytes]:
    """The newest record of each key of a compacted topic; nothing where there is no such topic."""
    name = settings.catalog[alias].name
    found: dict[Any, bytes] = {}
    asking = Asking(settings)
    spans = asking.spans({name: asking.partitions().get(name, [])})
    for message in kafka.read(settings, name, spans.get(name, {})):
        if message.value():
            found[message.key()] = message.value()
        else:
            found.pop(message.key(), None)
    return found.values()


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
