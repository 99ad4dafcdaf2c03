"""Keeps the identities of stored records (`dedup`) over restarts and when another process takes over a partition.

    <root>/_manifest/<topic>-<topic id>-<partition>.stored.json

A snapshot, written from time to time, has the identities of what is stored up to one offset; what follows it is read
from the topic again before the next record is stored. The manifest, not the snapshot, decides what is committed: if a
snapshot is missing, torn or old, the only cost is reading the newest `MAX_REREAD_OFFSETS` offsets at most.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import KafkaException

from runtime import kafka, topics
from runtime.errors import Retry
from runtime.metrics import RECORDS_REPEATED
from schemas import catalog, codec
from sinks.files.dedup import IdentityReader, NewRecords, StoredIdentities, identity_reader

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from sinks.sink import Item, Json, Partition

log = structlog.get_logger()
SNAPSHOT_EVERY_OFFSETS: Final = 2_000
"""Offsets of a partition between two snapshots: after a kill, at most this many are read again."""
MAX_REREAD_OFFSETS: Final = 10_000
"""Offsets that are read if there is no snapshot."""
TIMEOUT_S: Final = 10.0


@dataclass
class _PartitionState:
    """Identities of one partition."""

    path: Path
    """File of the snapshot."""
    read_identity: IdentityReader
    stored: StoredIdentities
    end: int
    """All records before this offset are in `stored`."""
    snapshot_end: int
    """The same of the snapshot."""
    duplicates: int = 0
    """Duplicates in the batch that is being stored."""
    new_records: NewRecords | None = None
    """New records in the batch that is being stored."""


class DedupStore:
    """Identities of stored records of the partitions that a sink owns.

    Partitions of topics whose identity has no number are not tracked.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._states: dict[Partition, _PartitionState] = {}

    def open(self, starts: Mapping[Partition, tuple[int, Path]]) -> None:
        """Restores the identities of partitions that are not open yet.

        Args:
            starts: First offset to be stored now, and path of the manifest, by partition.

        Raises:
            Retry: Kafka does not answer.
        """
        states: dict[Partition, _PartitionState] = {}
        for partition, (first, manifest) in starts.items():
            path = manifest.with_suffix(".stored.json")
            topic = self._settings.catalog.find(partition[0])
            read_identity = identity_reader(topic)
            if partition not in self._states and read_identity is not None:
                RECORDS_REPEATED.labels(topic.alias)
                snapshot_end, stored = _load_snapshot(path)
                # A snapshot beyond `first` has offsets that the broker has lost: its identities are still true.
                snapshot_end = snapshot_end if snapshot_end <= first else 0
                states[partition] = _PartitionState(path, read_identity, stored, first, snapshot_end)
        for topic_name in {topic_name for topic_name, _ in states}:
            spans = {
                number: (max(state.snapshot_end, state.end - MAX_REREAD_OFFSETS), state.end)
                for (name, number), state in states.items()
                if name == topic_name and state.snapshot_end < state.end
            }
            if spans:
                self._read_stored(topic_name, spans, states)
        self._states |= states

    def new_items(self, partition: Partition, items: list[Item]) -> list[Item]:
        """Returns the items that are not stored yet, without duplicates among them."""
        state = self._states.get(partition)
        if state is None:
            return items
        state.new_records = new_records = NewRecords(state.stored, state.read_identity)
        new_items = [item for item in items if new_records.add(item.record)]
        state.duplicates = len(items) - len(new_items)
        return new_items

    def mark_stored(self, partition: Partition, refused: Iterable[Item], end: int) -> None:
        """Marks the result of `new_items`, except for refused items, as stored, and the partition up to `end`."""
        state = self._states.get(partition)
        if state is None or state.new_records is None:
            return
        for item in refused:
            state.new_records.discard(item.record)
        state.new_records.commit()
        state.new_records, state.end = None, end
        if state.duplicates:
            alias = self._settings.catalog.find(partition[0]).alias
            RECORDS_REPEATED.labels(alias).inc(state.duplicates)
        if end - state.snapshot_end >= SNAPSHOT_EVERY_OFFSETS:
            _save_snapshot(state)

    def close(self, partition: Partition) -> None:
        """Saves a snapshot of a partition and forgets it."""
        state = self._states.pop(partition, None)
        if state is not None and state.end > state.snapshot_end:
            _save_snapshot(state)

    def _read_stored(self, topic: str, spans: dict[int, OffsetRange], states: dict[Partition, _PartitionState]) -> None:
        """Adds the identities of a topic's records at these offsets, as far as Kafka still has them."""
        try:
            firsts = {number: first for number, (first, _) in kafka.watermarks(self._settings, topic).items()}
            available = {number: (max(first, firsts.get(number, end)), end) for number, (first, end) in spans.items()}
            decode = self._decoder(topic).decode
            for message in kafka.read_ranges(self._settings, topic, available, timeout_s=TIMEOUT_S):
                state = states[topic, message.partition()]
                with suppress(codec.DecodeError):
                    state.stored.add(state.read_identity(decode(message.value())))
        except KafkaException as error:
            raise Retry(f"the stored records of {topic} cannot be read again: {error.args[0].str()}") from error
        count = sum(max(0, end - first) for first, end in available.values())
        log.info("identities of stored records restored", topic=topic, partitions=len(available), records=count)

    def _decoder(self, topic: str) -> codec.Decoder:
        schema = catalog.schema(self._settings.catalog.find(topic).schema)
        # Looked up once: undecodable bytes have another unknown id each time.
        published = cache(lambda: topics.published_schemas(self._settings))
        return codec.Decoder(schema, lambda schema_id: published().get(schema_id))


def _save_snapshot(state: _PartitionState) -> None:
    """Writes a snapshot. Without fsync: after a power cut it may be torn, and then the topic is read instead."""
    temporary = state.path.with_name(f".{state.path.name}.tmp")
    snapshot = {"end": state.end, "series": list(state.stored.dump())}
    try:
        temporary.write_text(json.dumps(snapshot, ensure_ascii=False, separators=(",", ":")))
        temporary.rename(state.path)
    except OSError as error:
        log.debug("snapshot of stored records not written", path=str(state.path), reason=error.strerror)
        return
    state.snapshot_end = state.end


def _load_snapshot(path: Path) -> tuple[int, StoredIdentities]:
    """Returns the end and the identities of a snapshot; an empty one if there is none."""
    try:
        snapshot: Json = json.loads(path.read_text())
        return int(snapshot["end"]), StoredIdentities.load(snapshot["series"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("snapshot of stored records not readable, reading the topic", path=str(path), reason=repr(error))
    return 0, StoredIdentities()
