"""The rights each role needs on Kafka, and none beyond. Pure: derived from the catalogue and what the code reads.

A role is one kind of process, or of person. Its principal has the role's name: `User:sink-files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from runtime.kafka import READER
from schemas import catalog

Operation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"]
Kind = Literal["topic", "group"]
GROUPS: Final = "rackstream-"
"""What all our consumer groups begin with."""
SUBSCRIBERS: Final = "subscriber-"
"""What the consumer groups of other teams begin with."""
REPLAYED: Final = "replay."
"""After the prefix of topics: what a replay into topics writes."""


@dataclass(frozen=True, order=True)
class Right:
    """One operation on one topic or group, or on all whose name begins so."""

    kind: Kind
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class Uses:
    """What a role does, in aliases of topics and names of groups."""

    doc: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    group: str = ""
    """Consumer group it is a member of."""
    several: bool = False
    """Whether its groups only begin so."""
    reads_all: bool = False
    """All topics with the prefix, those that a replay wrote among them."""
    sees_groups: bool = False
    """How far each consumer group has read."""


def _producer(source: str) -> Callable[[], Uses]:
    def uses() -> Uses:
        from producers.shared_targets.record import GROUP as SHARED
        from producers.shared_targets.record import SOURCES

        shared = source in SOURCES
        return Uses(
            f"`rackstream producer {source}`" + ("; its group is that of `--shared`" if shared else ""),
            reads=("state-targets", "control", "schemas", *(("targets",) if shared else ())),
            writes=(f"raw-{source}", "state-targets", "heartbeats", "schemas"),
            group=SHARED + source if shared else "",
        )

    return uses


def _app() -> Uses:
    return Uses("An application with the SDK's `KafkaStorage`", reads=("schemas",), writes=("raw-app", "schemas"))


def _processor() -> Uses:
    from processors.engine.worker import GROUP
    from processors.registry import joined, mounted

    inputs = [step.input for step in mounted()] + [alias for join in joined() for alias in join.inputs]
    made = [alias for step in mounted() for alias in step.outputs]
    made += [alias for join in joined() for alias in join.outputs]
    made += [step.memory for step in mounted() if isinstance(step.memory, str)]
    return Uses(
        "`rackstream processor`; it reads what it wrote to find its state again",
        reads=_once(inputs, made, ["rules", "schemas"]),
        writes=_once(made, ["dead-letter", "schemas"]),
        group=GROUP,
    )


def _sink(kind: str) -> Callable[[], Uses]:
    def uses() -> Uses:
        from sinks import datasets
        from sinks.run import group

        reads: Iterable[str] = datasets.aliases()
        if kind == "archive":
            from sinks.files.archive_sink import aliases

            reads = aliases()
        elif kind == "webhook":
            reads = ("alerts", "state-alerts", "silences", "state-presence", "state-targets")
        return Uses(
            f"`rackstream sink {kind}`",
            reads=_once(reads, ["schemas"]),
            writes=("dead-letter", "schemas"),
            group=group(kind),
            several=kind == "webhook",
        )

    return uses


def _console() -> Uses:
    from rackstream.view.kafka_feed import ACTIVE, SHOWN

    reads = _once(SHOWN, [ACTIVE, "control", "schemas"])
    return Uses("`rackstream serve`", reads=reads, writes=("control", "silences", "schemas"), sees_groups=True)


def _subscriber() -> Uses:
    return Uses(
        f"Who reads: `rackstream tail`, `alerts`, `topics`, another team's consumers in groups `{SUBSCRIBERS}*`",
        reads_all=True,
        group=SUBSCRIBERS,
        several=True,
    )


def _replay() -> Uses:
    return Uses(
        f"`rackstream replay`; writes, makes and deletes only topics `fleet.{REPLAYED}*`",
        reads_all=True,
        writes=("schemas",),
        sees_groups=True,
    )


def _operator() -> Uses:
    return Uses(
        "Who watches: `rackstream top`, rules, silences, targets, audit, dead letters (`retry` publishes what the "
        "processors would have)",
        writes=_once(["rules", "silences", "control", "targets"], _processor().writes),
        reads_all=True,
        sees_groups=True,
    )


def _admin() -> Uses:
    return Uses("`rackstream topics --create`", reads=("schemas",), writes=("schemas",))


ROLES: Final[Mapping[str, Callable[[], Uses]]] = {
    "producer-host": _producer("host"),
    "producer-libvirt": _producer("libvirt"),
    "producer-redfish": _producer("redfish"),
    "producer-app": _app,
    "processor": _processor,
    "sink-files": _sink("files"),
    "sink-influx": _sink("influx"),
    "sink-archive": _sink("archive"),
    "sink-webhook": _sink("webhook"),
    "console": _console,
    "subscriber": _subscriber,
    "operator": _operator,
    "replay": _replay,
    "admin": _admin,
}
"""Each imports what it is derived from when it is asked: a producer needs neither processors nor sinks."""
MORE: Final[Mapping[str, tuple[tuple[Operation, str], ...]]] = {
    "replay": (("Create", REPLAYED), ("Write", REPLAYED), ("Delete", REPLAYED)),
    "admin": (("Create", ""), ("DescribeConfigs", "")),
}
"""Role → operations on all topics whose name begins so, after the prefix."""


def of(role: str, topics: catalog.Catalog, prefix: str = catalog.PREFIX) -> frozenset[Right]:
    """The rights of a role.

    Args:
        role: a key of `ROLES`.
        topics: the catalogue, under its prefix.
        prefix: what all topics begin with.
    """
    uses = ROLES[role]()
    # Every process verifies at its start that all topics are there, with their partition counts.
    found = {Right("topic", prefix, "Describe", prefixed=True), Right("group", READER, "Describe")}
    if uses.reads_all:
        found.add(Right("topic", prefix, "Read", prefixed=True))
    found |= {Right("topic", topics[alias].name, "Read") for alias in uses.reads}
    found |= {Right("topic", topics[alias].name, "Write") for alias in uses.writes}
    if uses.group:
        found.add(Right("group", uses.group, "Read", prefixed=uses.several))
    if uses.sees_groups or uses.reads_all or role == "processor":
        # librdkafka asks for the coordinator of the group it is named, also where it is in none.
        found.add(Right("group", GROUPS, "Describe", prefixed=True))
        found.discard(Right("group", READER, "Describe"))
    found |= {Right("topic", prefix + name, operation, prefixed=True) for operation, name in MORE.get(role, ())}
    return frozenset(found)


def _once(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for part in parts for each in part))
