"""The catalogue: every topic and every Avro schema, read from `topics.toml` and `avsc/`. No network, no clock."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

HERE: Final = Path(__file__).parent
PREFIX: Final = "fleet."
REMOVED: Final = "removed"
"""Category of the last raw record of a host that is no target any more: nothing was read, and no more will be."""
COMPACTED: Final = {
    # A state topic must stay short enough to be read whole at every start.
    "segment.ms": "600000",
    "segment.bytes": str(16 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": str(7 * 24 * 3600 * 1000),
}


@dataclass(frozen=True)
class Schema:
    """One Avro record type: the version this code writes and reads."""

    name: str
    id: int
    """31 bits of the CRC-64-AVRO fingerprint: the same on every machine, with no registry to ask."""
    definition: dict[str, Any]
    """As in the `.avsc` file, for people and registries."""
    parsed: Any
    """As fastavro wants it."""


@dataclass(frozen=True)
class Topic:
    """One topic. `alias` is its name in code, `name` its name on Kafka."""

    alias: str
    name: str
    key: tuple[str, ...]
    schema: str
    identity: tuple[str, ...]
    group: str
    """Partition group: topics of one group always have the same number of partitions."""
    retention: timedelta | None
    cleanup: str
    owner: str
    doc: str

    def key_of(self, record: dict[str, Any]) -> bytes:
        """The Kafka key: the key fields joined by `:`."""
        return ":".join(str(record[field]) for field in self.key).encode()

    def identity_of(self, record: dict[str, Any]) -> tuple[Any, ...]:
        """What makes two records the same fact."""
        return tuple(record[field] for field in self.identity)

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration for the broker."""
        config = {
            "cleanup.policy": self.cleanup,
            "compression.type": "producer",
            "max.message.bytes": str(8 * 1024 * 1024 + 65536),
            # Event time lives in the record: one host with a clock far ahead would have its batch refused otherwise.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(int(self.retention.total_seconds() * 1000)) if self.retention else "-1",
        }
        return config | (COMPACTED if "compact" in self.cleanup else {})


@dataclass(frozen=True)
class Catalog:
    """All topics by alias, and the partition count of each group."""

    topics: dict[str, Topic]
    partitions: dict[str, int]

    def __getitem__(self, alias: str) -> Topic:
        return self.topics[alias]

    def named(self, name: str) -> Topic:
        """The topic with this name on Kafka, or this alias.

        Raises:
            KeyError: its message lists the names there are.
        """
        for topic in self.topics.values():
            if name in (topic.name, topic.alias):
                return topic
        names = ", ".join(sorted(topic.name for topic in self.topics.values()))
        raise KeyError(f"no topic {name!r}; there are: {names}")


def _retention(text: str) -> timedelta | None:
    if text == "forever":
        return None
    return timedelta(**{{"d": "days", "h": "hours", "m": "minutes"}[text[-1]]: int(text[:-1])})


@cache
def load(prefix: str = PREFIX) -> Catalog:
    """The catalogue, with topic names under `prefix`."""
    document = tomllib.loads((HERE / "topics.toml").read_text())
    topics = {
        alias: Topic(
            alias=alias,
            name=prefix + entry["name"].removeprefix(PREFIX),
            key=tuple(entry["key"]),
            schema=entry["schema"],
            identity=tuple(entry["identity"]),
            group=entry["partitions"],
            retention=_retention(entry["retention"]),
            cleanup=entry["cleanup"],
            owner=entry["owner"],
            doc=entry["doc"],
        )
        for alias, entry in document["topics"].items()
    }
    return Catalog(topics, document["partitions"])


def with_partitions(catalog: Catalog, host: int) -> Catalog:
    """The same catalogue, with another count for host-keyed topics; used when topics are created."""
    return replace(catalog, partitions=catalog.partitions | {"host": host})


def fingerprint_id(definition: dict[str, Any]) -> int:
    """The id of a schema: its CRC-64-AVRO fingerprint cut to 31 bits, for the wire format's id is a positive int."""
    text = fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO")
    return int(text, 16) & 0x7FFFFFFF


def read_schema(path: Path) -> Schema:
    """The schema in an `.avsc` file.

    Raises:
        ValueError: not an Avro schema; the message names the file and what is wrong.
    """
    try:
        definition = json.loads(path.read_text())
        return Schema(definition["name"], fingerprint_id(definition), definition, parse_schema(definition))
    except Exception as error:
        raise ValueError(f"{path.name} is not an Avro schema: {error}") from error


@cache
def schema(name: str) -> Schema:
    """The current version of one record type."""
    return read_schema(HERE / "avsc" / f"{name}.avsc")


@cache
def names() -> tuple[str, ...]:
    """All record types."""
    return tuple(sorted(path.stem for path in (HERE / "avsc").glob("*.avsc")))


@cache
def published() -> dict[int, Schema]:
    """Every version ever published, by id; the current ones among them."""
    versions = [read_schema(path) for path in sorted((HERE / "published").glob("*.avsc"))]
    return {version.id: version for version in versions} | {schema(name).id: schema(name) for name in names()}
