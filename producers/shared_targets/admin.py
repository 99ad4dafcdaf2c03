"""Administration of the targets topic: plans and publishes changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, cast

from confluent_kafka import KafkaException

from producers.fleet import config
from producers.fleet.config import Fleet
from producers.shared_targets.record import to_entry, to_record, to_target
from runtime import kafka
from runtime.compacted_topic import read_latest
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from schemas import catalog, codec
from schemas.records import Target
from schemas.sources import SHAREABLE_SOURCES

ALIAS: Final = "targets"
DELIVERY_TIMEOUT_S: Final = 30.0
RecordKey = tuple[str, str]
"""(source, host)."""


@dataclass(frozen=True)
class TargetPlan:
    """Changes to publish."""

    added: tuple[Target, ...] = ()
    changed: tuple[Target, ...] = ()
    removed: tuple[Target, ...] = ()
    unchanged: int = 0

    @property
    def records(self) -> list[Target]:
        """The records to publish."""
        removed = [cast("Target", {**record, "removed": True}) for record in self.removed]
        return [*self.added, *self.changed, *removed]


def record_key(record: Target) -> RecordKey:
    """Returns source and host of a record."""
    return record["source"], record["host"]


def shareable_records(fleet: Fleet) -> list[Target]:
    """Returns the records of the targets of a fleet that can be shared."""
    return [to_record(source, target) for source in SHAREABLE_SOURCES for target in fleet.targets(source)]


def record_from_entry(source: str, entry: Mapping[str, Any]) -> Target:
    """Returns the record of an entry of a fleet file.

    Raises:
        Misconfigured: The entry is wrong; names all its errors.
    """
    fleet, problems = config.validate({source: {"targets": [dict(entry)]}}, shared=True)
    if problems:
        messages = [f"{'.'.join(map(str, location[3:] or location[1:]))}: {message}" for location, message in problems]
        raise Misconfigured("\n  ".join([f"{source} of {entry.get('host')}:", *messages]))
    return shareable_records(fleet)[0]


def plan_changes(
    current: Mapping[RecordKey, Target], records: Iterable[Target], *, prune: Collection[str] = ()
) -> TargetPlan:
    """Plans the changes after which these targets are on the topic.

    Args:
        current: The records on the topic.
        records: The targets.
        prune: Sources whose other targets are removed.

    Raises:
        Misconfigured: Together with the valid targets that stay, a name or address would be polled twice.
    """
    existing = {key: record for key, record in current.items() if not record["removed"]}
    valid = {key: record for key, record in existing.items() if _is_valid(record)}
    requested = {record_key(record): record for record in records}
    added = tuple(record for key, record in requested.items() if key not in existing)
    changed = tuple(record for key, record in requested.items() if key in existing and existing[key] != record)
    removed = tuple(record for key, record in existing.items() if key not in requested and record["source"] in prune)
    removed_keys = {record_key(record) for record in removed}
    _check_conflicts([record for key, record in {**valid, **requested}.items() if key not in removed_keys])
    return TargetPlan(added, changed, removed, len(requested) - len(added) - len(changed))


def plan_removal(current: Mapping[RecordKey, Target], source: str, hosts: Iterable[str]) -> TargetPlan:
    """Plans the removal of targets; those removed before count as unchanged.

    Raises:
        Misconfigured: A target has never been on the topic.
    """
    unique_hosts = list(dict.fromkeys(hosts))
    known_hosts = [host for key_source, host in current if key_source == source]
    for host in unique_hosts:
        if (source, host) not in current:
            matches = get_close_matches(host, known_hosts, n=3)
            hint = f"; did you mean {' or '.join(matches)}?" if matches else "; `rackstream targets list` lists all"
            raise Misconfigured(f"no {source} target on Kafka is called {host}{hint}")
    records = [current[source, host] for host in unique_hosts]
    existing = tuple(record for record in records if not record["removed"])
    return TargetPlan(removed=existing, unchanged=len(records) - len(existing))


def _is_valid(record: Target) -> bool:
    """True unless producers refuse a record, which then conflicts with no other."""
    try:
        to_target(record)
    except ValueError:
        return False
    return True


def _check_conflicts(records: list[Target]) -> None:
    document: dict[str, dict[str, list[dict[str, Any]]]] = {}
    hosts: dict[str, list[str]] = {}
    for record in records:
        document.setdefault(record["source"], {"targets": []})["targets"].append(to_entry(record))
        hosts.setdefault(record["source"], []).append(record["host"])
    _, problems = config.validate(document)
    if problems:
        messages = [
            f"{location[0]} of {hosts[str(location[0])][int(location[2])]}: "
            f"{'.'.join(map(str, location[3:]))}: {message}"
            for location, message in problems
        ]
        raise Misconfigured("\n  ".join(["with the targets on Kafka:", *messages]))


def read_targets(settings: KafkaSettings) -> dict[RecordKey, Target]:
    """Reads the topic, including targets removed before.

    Raises:
        Retry: The broker did not answer.
    """
    try:
        records = cast("list[Target]", list(read_latest(settings, ALIAS).values()))
    except KafkaException as error:
        raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
    return {record_key(record): record for record in records}


def publish_plan(settings: KafkaSettings, plan: TargetPlan) -> None:
    """Publishes the changes of a plan.

    Raises:
        Retry: Kafka did not confirm them.
        Misconfigured: An ACL is missing.
    """
    if not plan.records:
        return
    publish_schemas(settings, ("Target",))
    topic = settings.catalog[ALIAS]
    publisher = kafka.KafkaPublisher(settings, "rackstream-targets")
    for record in plan.records:
        value = codec.encode(catalog.schema(topic.schema), record)
        publisher.send(topic.name, topic.key_of(record), value, wait_s=DELIVERY_TIMEOUT_S)
    undelivered = publisher.flush(DELIVERY_TIMEOUT_S)
    if publisher.authorization_error is not None:
        raise publisher.authorization_error
    if undelivered or publisher.delivery_failures:
        publisher.purge()
        raise Retry(
            f"not confirmed by Kafka at {settings.bootstrap}; confirmed changes are in effect, so repeat the command"
        )
