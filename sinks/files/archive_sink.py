"""The archive: records of the topics that producers write, as Kafka has them, in Avro files by day and hour (UTC).

    <root>/<topic>/date=YYYY-MM-DD/hour=HH/<topic>-<topic id>-<partition>-<first>-<last>.avro
    <root>/_schemas/<id>.avsc
    <root>/_manifest/…

An object container file of `RECORD` per hour, commit and partition, compressed by deflate, which every Avro tool reads.
The hour is that of the record's `observed_at`; of bytes that are no record, that of their arrival. Keys and values are
the original bytes: a value is Confluent's framing (0, four bytes of schema id, Avro), and `_schemas` has the schema of
each id that is in the files, there before the first file that needs it. Packs of rules are archived too, since alerts
are judged by them. What else is on Kafka is made of these records, and a replay makes it again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import fastavro

from runtime.topics import published_schemas
from schemas import catalog, codec
from sinks.files.hourly_files import Contents, HourSink, folder, sync
from sinks.files.retention import FOREVER, Keep

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.sink import Item, Partition

SCHEMAS: Final = "_schemas"
"""Folder of the schemas."""
BLOCK_BYTES: Final = 256 * 1024
"""Of one compressed block: larger ones are smaller on disk, smaller ones are read with less memory."""
RECORD: Final[dict[str, Any]] = {
    "type": "record",
    "name": "ArchivedRecord",
    "namespace": "rackstream",
    "doc": "One record of a Kafka topic, as it is there.",
    "fields": [
        {"name": "topic", "type": "string", "doc": "Name of the topic."},
        {"name": "partition", "type": "int", "doc": "Number of the partition.", "unit": "1"},
        {"name": "offset", "type": "long", "doc": "Offset within the partition.", "unit": "1"},
        {
            "name": "appended_at",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
            "doc": "When the broker appended it, by the broker's clock.",
        },
        {"name": "key", "type": ["null", "bytes"], "doc": "Key."},
        {"name": "value", "type": ["null", "bytes"], "doc": "Value; null: a tombstone, which deletes the key."},
        {
            "name": "headers",
            "doc": "Headers, in their order.",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Header",
                    "fields": [
                        {"name": "key", "type": "string", "doc": "Name."},
                        {"name": "value", "type": ["null", "bytes"], "doc": "Value."},
                    ],
                },
            },
        },
    ],
}
PARSED: Final = fastavro.parse_schema(json.loads(json.dumps(RECORD)))


def aliases() -> tuple[str, ...]:
    """Topics that are archived: those that producers write, and the packs of rules."""
    return tuple(
        topic.alias
        for topic in catalog.load().topics.values()
        if topic.owner.startswith("producers.") or topic.alias == "rules"
    )


def schema_id(value: bytes | None) -> int | None:
    """The schema id that a value is framed with, or None."""
    framed = value is not None and len(value) > codec.HEADER.size and value[0] == 0
    return int(codec.HEADER.unpack_from(value)[1]) if framed and value is not None else None


class ArchiveSink(HourSink):
    """Stores the records' own bytes."""

    name = "archive"
    topics = aliases()
    takes_bytes = True

    def __init__(self, settings: KafkaSettings, root: Path, keep: Keep = FOREVER) -> None:
        super().__init__(settings, root, "avro", keep)
        self._noted: set[int] = set()
        """Ids whose schemas are in the folder."""

    def datasets_of(self, topic: str) -> list[str]:
        """The folder of a topic."""
        return [topic]

    def contents(self, items: list[Item]) -> tuple[Contents, dict[int, str]]:
        """Records by hour. There is none that cannot be archived."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for item in items:
            found.setdefault((item.partition[0], folder(item.moment)), []).append(_plain(item))
        if items:
            # A record that could be decoded has a schema that is known.
            self._note({number for item in items if item.record and (number := schema_id(_value(item))) is not None})
        return {key: partial(write, records) for key, records in found.items()}, {}

    def assigned(self, partition: Partition, span: tuple[int, int]) -> int | None:
        """As every sink of files; its schemas are looked at anew, for the folder may be another one."""
        self._noted.clear()
        return super().assigned(partition, span)

    def _note(self, ids: set[int]) -> None:
        """Puts schemas in the folder, durably."""
        if not (new := ids - self._noted):
            return
        known: Mapping[int, Any] = {number: each.definition for number, each in catalog.published().items()}
        if not new <= known.keys():
            known = {**known, **published_schemas(self._settings)}
        place = self._root / SCHEMAS
        place.mkdir(exist_ok=True)
        for number in sorted(new & known.keys()):
            path = place / f"{number}.avsc"
            if not path.exists():
                aside = path.with_name(f".{path.name}-{os.getpid()}.tmp")
                with aside.open("w") as file:
                    file.write(json.dumps(known[number], ensure_ascii=False, indent=1) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                aside.rename(path)
            self._noted.add(number)
        sync(place)


def _value(item: Item) -> bytes | None:
    assert item.wire is not None
    return item.wire.value


def _plain(item: Item) -> dict[str, Any]:
    wire = item.wire
    assert wire is not None
    return {
        "topic": item.partition[0],
        "partition": item.partition[1],
        "offset": item.offset,
        "appended_at": wire.appended_at,
        "key": wire.key,
        "value": wire.value,
        "headers": [{"key": key, "value": value} for key, value in wire.headers],
    }


def write(records: list[dict[str, Any]], file: IO[bytes]) -> int:
    """Writes records as an Avro object container file."""
    fastavro.writer(file, PARSED, records, codec="deflate", sync_interval=BLOCK_BYTES)
    return len(records)
