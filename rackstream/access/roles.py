"""Kafka ACLs that each role needs, derived from the catalogue and what the code reads. Pure.

Only the administrator writes the schemas topic, because a schema directs every reader's decoder.
A role is a kind of process or person. Its principal has the role's name: `User:sink-files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from producers.registry import SOURCE_SPECS, SourceSpec
from runtime.kafka import READER_GROUP
from schemas import catalog
from sinks.registry import SINKS
from sinks.sink import SinkSpec

Operation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs"]
ResourceKind = Literal["topic", "group"]
GROUP_PREFIX: Final = "rackstream-"
"""Prefix of all consumer groups of Rackstream."""
SUBSCRIBER_GROUP_PREFIX: Final = "subscriber-"
"""Prefix of other teams' consumer groups."""
REPLAY_TOPIC_PREFIX: Final = "replay."
"""Prefix, after the topic prefix, of topics written by a replay."""


@dataclass(frozen=True, order=True)
class Acl:
    """Operation on a topic or group, or on all with a name prefix."""

    resource_type: ResourceKind
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource_type} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class RoleAccess:
    """Topics (by alias) and groups that a role uses."""

    doc: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    group: str = ""
    """Consumer group of its members."""
    group_is_prefix: bool = False
    """True if `group` is only the prefix of its groups."""
    reads_all: bool = False
    """True if it reads all topics with the topic prefix, including those of replays."""
    describes_groups: bool = False
    """True if it reads the committed offsets of all consumer groups."""


def _producer(spec: SourceSpec) -> Callable[[], RoleAccess]:
    def uses() -> RoleAccess:
        shared = spec.source.is_shareable
        return RoleAccess(
            f"`rackstream producer {spec.name}`" + ("; its group is that of `--shared`" if shared else ""),
            reads=("state-targets", "control", "schemas", *(("targets",) if shared else ())),
            writes=(spec.source.raw_topic, "state-targets", "heartbeats"),
            group=spec.consumer_group if shared else "",
        )

    return uses


def _app() -> RoleAccess:
    return RoleAccess("An application with the SDK's `KafkaStorage`", reads=("schemas",), writes=("raw-app",))


def _processor() -> RoleAccess:
    from processors.engine.worker import GROUP
    from processors.registry import JOINS, STEPS

    inputs = [step.input for step in STEPS] + [alias for join in JOINS for alias in join.inputs]
    outputs = [alias for step in STEPS for alias in step.outputs]
    outputs += [alias for join in JOINS for alias in join.outputs]
    outputs += [step.memory for step in STEPS if isinstance(step.memory, str)]
    return RoleAccess(
        "`rackstream processor`; it reads its own output to restore its state",
        reads=_unique(inputs, outputs, ["rules", "schemas"]),
        writes=_unique(outputs, ["dead-letter"]),
        group=GROUP,
    )


def _sink(spec: SinkSpec) -> Callable[[], RoleAccess]:
    def uses() -> RoleAccess:
        return RoleAccess(
            f"`rackstream sink {spec.kind}`",
            reads=_unique(spec.topics(), spec.also_reads, ["schemas"]),
            writes=("dead-letter",),
            group=spec.group(),
            group_is_prefix=spec.is_named,
        )

    return uses


def _console() -> RoleAccess:
    from rackstream.view.kafka_feed import ALERT_STATE_TOPIC, DEFAULT_TOPICS

    reads = _unique(DEFAULT_TOPICS, [ALERT_STATE_TOPIC, "schemas"])
    return RoleAccess("`rackstream serve`", reads=reads, writes=("control", "silences"), describes_groups=True)


def _subscriber() -> RoleAccess:
    return RoleAccess(
        "Readers: `rackstream tail`, `alerts`, `topics`, other teams' consumers in groups "
        f"`{SUBSCRIBER_GROUP_PREFIX}*`",
        reads_all=True,
        group=SUBSCRIBER_GROUP_PREFIX,
        group_is_prefix=True,
    )


def _replay() -> RoleAccess:
    return RoleAccess(
        f"`rackstream replay`; writes, creates and deletes only topics `fleet.{REPLAY_TOPIC_PREFIX}*`",
        reads_all=True,
        describes_groups=True,
    )


def _operator() -> RoleAccess:
    return RoleAccess(
        "Operators: `rackstream top`, rules, silences, targets, audit, dead letters (`retry` publishes what the "
        "processors would have)",
        writes=_unique(["rules", "silences", "control", "targets"], _processor().writes),
        reads_all=True,
        describes_groups=True,
    )


def _admin() -> RoleAccess:
    return RoleAccess("`rackstream topics --create`", reads=("schemas",), writes=("schemas",))


ROLES: Final[Mapping[str, Callable[[], RoleAccess]]] = {
    **{spec.role: _producer(spec) for spec in SOURCE_SPECS.values()},
    "producer-app": _app,
    "processor": _processor,
    **{spec.role: _sink(spec) for spec in SINKS.values()},
    "console": _console,
    "subscriber": _subscriber,
    "operator": _operator,
    "replay": _replay,
    "admin": _admin,
}
"""Functions, so that a process imports only what its own role is derived from."""
EXTRA_OPERATIONS: Final[Mapping[str, tuple[tuple[Operation, str], ...]]] = {
    "replay": (("Create", REPLAY_TOPIC_PREFIX), ("Write", REPLAY_TOPIC_PREFIX), ("Delete", REPLAY_TOPIC_PREFIX)),
    "admin": (("Create", ""), ("DescribeConfigs", "")),
}
"""Role → operations on all topics with a name prefix, after the topic prefix."""


def acls_of(role: str, topics: catalog.Catalog, prefix: str = catalog.DEFAULT_PREFIX) -> frozenset[Acl]:
    """Returns the ACLs of a role.

    Args:
        role: A key of `ROLES`.
        topics: The catalogue, with its topic prefix.
        prefix: The topic prefix.
    """
    access = ROLES[role]()
    # Every process checks at start-up that all topics exist, with their partition counts.
    acls = {Acl("topic", prefix, "Describe", prefixed=True), Acl("group", READER_GROUP, "Describe")}
    if access.reads_all:
        acls.add(Acl("topic", prefix, "Read", prefixed=True))
    acls |= {Acl("topic", topics[alias].name, "Read") for alias in access.reads}
    acls |= {Acl("topic", topics[alias].name, "Write") for alias in access.writes}
    if access.group:
        acls.add(Acl("group", access.group, "Read", prefixed=access.group_is_prefix))
    if access.describes_groups or access.reads_all or role == "processor":
        # librdkafka looks up the coordinator of its configured group even if it never joins it.
        acls.add(Acl("group", GROUP_PREFIX, "Describe", prefixed=True))
        acls.discard(Acl("group", READER_GROUP, "Describe"))
    acls |= {
        Acl("topic", prefix + name, operation, prefixed=True) for operation, name in EXTRA_OPERATIONS.get(role, ())
    }
    return frozenset(acls)


def _unique(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))
