"""Keeps what is known of stored records (`repeats`) over restarts, and when another process takes a partition over.

    <root>/_manifest/<topic>-<topic id>-<partition>.stored.json

A note of it, written now and then, says what is stored up to one offset; what comes after that is read from the topic
again before the first record is stored. The manifest, not the note, says what is committed: a note that is gone, torn
or old costs only the reading, of the newest `TAIL` records at most.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import KafkaException

from runtime import kafka, topics
from runtime.errors import Retry
from runtime.metrics import RECORDS_REPEATED
from schemas import catalog, codec
from sinks.files.dedup import Fresh, Read, Stored, reader

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.sink import Item, Partition

log = structlog.get_logger()
NOTE_EVERY: Final = 2_000
"""Offsets of a partition after which a note is written: after a kill, this many are read again at most."""
TAIL: Final = 10_000
"""Offsets that are read where there is no note."""
TIMEOUT_S: Final = 10.0


@dataclass
class _Known:
    """One partition."""

    path: Path
    read: Read
    stored: Stored
    end: int
    """Up to where all that is on the topic is in it."""
    noted: int
    """The same of the note."""
    repeated: int = 0
    """Records left out of those that are being stored."""
    fresh: Fresh | None = None
    """Those that are being stored."""


class Recall:
    """What is stored of the partitions that one sink holds. Those whose identity has no number are not known here."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._known: dict[Partition, _Known] = {}

    def begin(self, starts: Mapping[Partition, tuple[int, Path]]) -> None:
        """Learns what is stored of partitions that it does not know yet.

        Args:
            starts: the first offset that is to be stored now, and the manifest.

        Raises:
            Retry: Kafka does not answer.
        """
        found: dict[Partition, _Known] = {}
        for partition, (first, manifest) in starts.items():
            path = manifest.with_suffix(".stored.json")
            read = reader(self._settings.catalog.named(partition[0]))
            if partition not in self._known and read is not None:
                RECORDS_REPEATED.labels(self._settings.catalog.named(partition[0]).alias)
                noted, stored = _noted(path)
                # A note beyond it is of offsets that the broker has lost: it stays true, and is written anew.
                found[partition] = _Known(path, read, stored, first, noted if noted <= first else 0)
        for topic in {topic for topic, _ in found}:
            wanted = {
                number: (max(each.noted, each.end - TAIL), each.end)
                for (name, number), each in found.items()
                if name == topic and each.noted < each.end
            }
            if wanted:
                self._follow(topic, wanted, found)
        self._known |= found

    def fresh(self, partition: Partition, items: list[Item]) -> list[Item]:
        """Those of some records that are not stored; each once."""
        if (known := self._known.get(partition)) is None:
            return items
        known.fresh = fresh = Fresh(known.stored, known.read)
        found = [item for item in items if fresh.take(item.record)]
        known.repeated = len(items) - len(found)
        return found

    def stored(self, partition: Partition, items: Iterable[Item], end: int) -> None:
        """What `fresh` gave is stored, but for the records of `items`, and the partition up to `end` with it."""
        known = self._known.get(partition)
        if known is None or known.fresh is None:
            return
        for item in items:
            known.fresh.leave(item.record)
        known.fresh.keep()
        known.fresh, known.end = None, end
        if known.repeated:
            alias = self._settings.catalog.named(partition[0]).alias
            RECORDS_REPEATED.labels(alias).inc(known.repeated)
        if end - known.noted >= NOTE_EVERY:
            self._note(known)

    def release(self, partition: Partition) -> None:
        """Notes what is known of a partition, and forgets it."""
        known = self._known.pop(partition, None)
        if known is not None and known.end > known.noted:
            self._note(known)

    def _follow(self, topic: str, spans: dict[int, kafka.Span], found: dict[Partition, _Known]) -> None:
        """Takes in what is on a topic at some offsets, as far as Kafka has it."""
        try:
            low = {number: span[0] for number, span in kafka.watermarks(self._settings, topic).items()}
            there = {number: (max(first, low.get(number, end)), end) for number, (first, end) in spans.items()}
            decode = self._decoder(topic)
            for message in kafka.read(self._settings, topic, there, timeout_s=TIMEOUT_S):
                known = found[topic, message.partition()]
                with suppress(codec.Undecodable):
                    known.stored.add(known.read(decode.decode(message.value())))
        except KafkaException as error:
            raise Retry(f"what is stored of {topic} cannot be read again: {error.args[0].str()}") from error
        count = sum(max(0, end - first) for first, end in there.values())
        log.info("stored records recalled", topic=topic, partitions=len(there), records=count)

    def _decoder(self, topic: str) -> codec.Decoder:
        schema = catalog.schema(self._settings.catalog.named(topic).schema)
        # Read once: bytes that are no record have another unknown id each time.
        published = cache(lambda: topics.published_schemas(self._settings))
        return codec.Decoder(schema, lambda schema_id: published().get(schema_id))

    def _note(self, known: _Known) -> None:
        """Writes the note. Not synced: after a power cut it may be torn, and the topic says the same."""
        aside = known.path.with_name(f".{known.path.name}.tmp")
        try:
            aside.write_text(
                json.dumps(
                    {"end": known.end, "series": list(known.stored.dump())}, ensure_ascii=False, separators=(",", ":")
                )
            )
            aside.rename(known.path)
        except OSError as error:
            log.debug("what is stored is not noted", path=str(known.path), why=error.strerror)
            return
        known.noted = known.end


def _noted(path: Path) -> tuple[int, Stored]:
    """Up to where a note goes, and what it says; without one, nothing from offset 0 on."""
    try:
        note: Any = json.loads(path.read_text())
        return int(note["end"]), Stored.load(note["series"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("note of what is stored not read: the topic is read instead", path=str(path), why=repr(error))
    return 0, Stored()
