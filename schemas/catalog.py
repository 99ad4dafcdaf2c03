"""Catalogue of all topics and Avro schemas, read from `topics.toml` and `avsc/`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

SCHEMAS_DIR: Final = Path(__file__).parent
PUBLISHED_DIR: Final = SCHEMAS_DIR / "published"
DEFAULT_PREFIX: Final = "fleet."
REMOVED_CATEGORY: Final = "removed"
"""Category of the final raw record of a host that is no longer a target; it has no readings."""
COMPACTION_CONFIG: Final = {
    # State topics are read completely at every start, so they must stay short.
    "segment.ms": "600000",
    "segment.bytes": str(16 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": str(7 * 24 * 3600 * 1000),
}


AvroType = Any
"""An Avro type in its JSON notation: a name, a list (union) or an object."""


@dataclass(frozen=True)
class Schema:
    """A version of an Avro record type."""

    name: str
    id: int
    """31 bits of the CRC-64-AVRO fingerprint: the same on every machine without a registry."""
    definition: dict[str, AvroType]
    """Content of the `.avsc` file, with `doc` and `unit`."""
    parsed: AvroType
    """Schema as parsed by fastavro."""


@dataclass(frozen=True)
class Topic:
    """A topic, as configured in `topics.toml`."""

    alias: str
    """Name in code and configuration, such as `raw-redfish`."""
    name: str
    """Name on Kafka, with the prefix."""
    key: tuple[str, ...]
    """Fields of the Kafka key."""
    schema: str
    """Record type, or `json`."""
    identity: tuple[str, ...]
    """Fields that identify a record: two records with equal values are duplicates."""
    group: str
    """Partition group: topics of one group have the same partition count."""
    retention: timedelta | None
    """Retention time; None keeps the latest record of each key forever."""
    cleanup: str
    """Kafka's `cleanup.policy`."""
    owner: str
    """Component that writes the topic."""
    doc: str
    """Description for the documentation."""

    def key_of(self, record: Mapping[str, object]) -> bytes:
        """Returns the Kafka key of a record: the key fields joined by `:`."""
        return ":".join(str(record[field]) for field in self.key).encode()

    def identity_of(self, record: Mapping[str, object]) -> tuple[object, ...]:
        """Returns the identity of a record; duplicates have equal identities."""
        return tuple(record[field] for field in self.identity)

    @property
    def config(self) -> dict[str, str]:
        """Kafka's topic configuration."""
        config = {
            "cleanup.policy": self.cleanup,
            "compression.type": "producer",
            "max.message.bytes": str(8 * 1024 * 1024 + 65536),
            # Event time is in the record. With CreateTime, Kafka would refuse the batch of a host whose clock is ahead.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(int(self.retention.total_seconds() * 1000)) if self.retention else "-1",
        }
        return config | (COMPACTION_CONFIG if "compact" in self.cleanup else {})


@dataclass(frozen=True)
class Catalog:
    """All topics and the partition count of each partition group."""

    topics: dict[str, Topic]
    """Alias → topic."""
    partitions: dict[str, int]
    """Partition group → partition count of new topics."""

    def __getitem__(self, alias: str) -> Topic:
        return self.topics[alias]

    def find(self, name: str) -> Topic:
        """Returns the topic with this name on Kafka or this alias.

        Raises:
            KeyError: There is none; the message lists all names.
        """
        for topic in self.topics.values():
            if name in (topic.name, topic.alias):
                return topic
        names = ", ".join(sorted(topic.name for topic in self.topics.values()))
        raise KeyError(f"no topic {name!r}; the topics are: {names}")


def _parse_retention(text: str) -> timedelta | None:
    if text == "forever":
        return None
    return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[text[-1]]: int(text[:-1])})


@cache
def load(prefix: str = DEFAULT_PREFIX) -> Catalog:
    """Loads the catalogue with topic names under `prefix`."""
    document = tomllib.loads((SCHEMAS_DIR / "topics.toml").read_text())
    topics = {
        alias: Topic(
            alias=alias,
            name=prefix + entry["name"].removeprefix(DEFAULT_PREFIX),
            key=tuple(entry["key"]),
            schema=entry["schema"],
            identity=tuple(entry["identity"]),
            group=entry["partitions"],
            retention=_parse_retention(entry["retention"]),
            cleanup=entry["cleanup"],
            owner=entry["owner"],
            doc=entry["doc"],
        )
        for alias, entry in document["topics"].items()
    }
    return Catalog(topics, document["partitions"])


def with_partitions(catalog: Catalog, host_partitions: int) -> Catalog:
    """Returns a copy of the catalogue with another partition count for host-keyed topics."""
    return replace(catalog, partitions=catalog.partitions | {"host": host_partitions})


def fingerprint_id(definition: Mapping[str, AvroType]) -> int:
    """Returns the id of a schema: its CRC-64-AVRO fingerprint, cut to the 31 bits of a positive int on the wire."""
    text = fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO")
    return int(text, 16) & 0x7FFFFFFF


def read_schema(path: Path) -> Schema:
    """Reads an `.avsc` file.

    Raises:
        ValueError: The file is not an Avro schema; the message names the file and the problem.
    """
    try:
        definition = json.loads(path.read_text())
        return Schema(definition["name"], fingerprint_id(definition), definition, parse_schema(definition))
    except Exception as error:
        raise ValueError(f"{path.name} is not an Avro schema: {error}") from error


@cache
def schema(name: str) -> Schema:
    """Returns the current version of a record type."""
    return read_schema(SCHEMAS_DIR / "avsc" / f"{name}.avsc")


@cache
def schema_names() -> tuple[str, ...]:
    """Returns the names of all record types."""
    return tuple(sorted(path.stem for path in (SCHEMAS_DIR / "avsc").glob("*.avsc")))


@cache
def published_schemas() -> dict[int, Schema]:
    """Returns all published versions of all record types, including the current ones, by id."""
    versions = [read_schema(path) for path in sorted(PUBLISHED_DIR.glob("*.avsc"))]
    return {version.id: version for version in versions} | {schema(name).id: schema(name) for name in schema_names()}
