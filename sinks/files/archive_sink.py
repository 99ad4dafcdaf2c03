"""The archive sink: original bytes of the records that producers write, in Avro files by day and hour (UTC).

    <root>/<topic>/date=YYYY-MM-DD/hour=HH/<topic>-<topic id>-<partition>-<first>-<last>.avro
    <root>/_schemas/<id>.avsc
    <root>/_manifest/…

There is one object container file of `ARCHIVE_SCHEMA` per hour, commit and partition, compressed with deflate, which
every Avro tool reads. The hour is that of the record's `observed_at`; for undecodable bytes, that of their arrival.
Keys and values are the original bytes: a value has Confluent's framing (0, four bytes of schema id, Avro), and
`_schemas` has the schema of each id in the files, written before the first file that needs it. Rule packs are archived
too, since alerts depend on them. All other records on Kafka are derived from these, and a replay derives them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypedDict

import fastavro

from runtime.topics import published_schemas
from schemas import catalog, codec
from sinks.files.hourly_files import FileContents, HourlyFileSink, fsync_folder, hour_folder
from sinks.files.retention import KEEP_ALL, RetentionLimits

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from schemas.catalog import AvroType
    from sinks.sink import Item, Partition

SCHEMA_FOLDER: Final = "_schemas"
BLOCK_BYTES: Final = 256 * 1024
"""Size of a compressed block. Larger blocks compress better, smaller ones are read with less memory."""
ARCHIVE_SCHEMA: Final[Mapping[str, AvroType]] = {
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
PARSED_SCHEMA: Final = fastavro.parse_schema(json.loads(json.dumps(ARCHIVE_SCHEMA)))


class ArchivedHeader(TypedDict):
    """`Header` of `ARCHIVE_SCHEMA`."""

    key: str
    value: bytes | None


class ArchivedRow(TypedDict):
    """`ArchivedRecord` of `ARCHIVE_SCHEMA`."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: bytes | None
    value: bytes | None
    headers: list[ArchivedHeader]


def archived_topics() -> tuple[str, ...]:
    """Returns the aliases of the topics that are archived: those that producers write, and the rule packs."""
    return tuple(
        topic.alias
        for topic in catalog.load().topics.values()
        if topic.owner.startswith("producers.") or topic.alias == "rules"
    )


def schema_id(value: bytes | None) -> int | None:
    """Returns the schema id in the framing of a value; None if it has no framing."""
    if value is None or len(value) <= codec.HEADER.size or value[0] != 0:
        return None
    return int(codec.HEADER.unpack_from(value)[1])


class ArchiveSink(HourlyFileSink):
    """Stores the original bytes of records."""

    name = "archive"
    topics = archived_topics()
    stores_original_bytes = True

    def __init__(self, settings: KafkaSettings, root: Path, retention: RetentionLimits = KEEP_ALL) -> None:
        super().__init__(settings, root, "avro", retention)
        self._stored_schema_ids: set[int] = set()

    def datasets_of(self, topic: str) -> list[str]:
        """Returns the one folder of a topic, which has the topic's name."""
        return [topic]

    def file_contents(self, items: list[Item]) -> tuple[FileContents, dict[int, str]]:
        """Groups records by topic and hour. Every record can be archived, so none is refused."""
        rows: dict[tuple[str, str], list[ArchivedRow]] = {}
        for item in items:
            rows.setdefault((item.partition[0], hour_folder(item.event_time)), []).append(_archived_row(item))
        # A record that was decoded has a schema that can be looked up.
        decoded = [item.original for item in items if item.record and item.original is not None]
        self._store_schemas({id_ for original in decoded if (id_ := schema_id(original.value)) is not None})
        return {file: partial(write_avro, file_rows) for file, file_rows in rows.items()}, {}

    def assign(self, partition: Partition, span: OffsetRange) -> int | None:
        """Takes over a partition, see `HourlyFileSink`; the schemas are checked again, as the root may be a new one."""
        self._stored_schema_ids.clear()
        return super().assign(partition, span)

    def _store_schemas(self, ids: set[int]) -> None:
        """Writes schemas that are not stored yet to `SCHEMA_FOLDER`, durably."""
        new_ids = ids - self._stored_schema_ids
        if not new_ids:
            return
        schemas: Mapping[int, Mapping[str, AvroType]] = {
            id_: schema.definition for id_, schema in catalog.published_schemas().items()
        }
        if not new_ids <= schemas.keys():
            schemas = {**schemas, **published_schemas(self._settings)}
        folder = self._root / SCHEMA_FOLDER
        folder.mkdir(exist_ok=True)
        for id_ in sorted(new_ids & schemas.keys()):
            path = folder / f"{id_}.avsc"
            if not path.exists():
                temporary = path.with_name(f".{path.name}-{os.getpid()}.tmp")
                with temporary.open("w") as file:
                    file.write(json.dumps(schemas[id_], ensure_ascii=False, indent=1) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            self._stored_schema_ids.add(id_)
        fsync_folder(folder)


def _archived_row(item: Item) -> ArchivedRow:
    original = item.original
    assert original is not None
    return {
        "topic": item.partition[0],
        "partition": item.partition[1],
        "offset": item.offset,
        "appended_at": original.appended_at,
        "key": original.key,
        "value": original.value,
        "headers": [{"key": key, "value": value} for key, value in original.headers],
    }


def write_avro(rows: list[ArchivedRow], file: IO[bytes]) -> int:
    """Writes an Avro object container file; returns the number of rows."""
    fastavro.writer(file, PARSED_SCHEMA, rows, codec="deflate", sync_interval=BLOCK_BYTES)
    return len(rows)
