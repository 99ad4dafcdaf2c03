"""Which targets shared producers divide: what is on fleet.targets, what is to be, and the writing of the difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from confluent_kafka import KafkaException

from producers.fleet import config
from producers.fleet.config import Fleet
from producers.shared_targets import record as shared
from producers.shared_targets.record import Record
from runtime import kafka
from runtime.compacted_topic import newest
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from schemas import catalog, codec

ALIAS: Final = "targets"
CONFIRMED_S: Final = 30.0
Key = tuple[str, str]
"""(source, host)."""


@dataclass(frozen=True)
class Plan:
    """What is to be written."""

    added: tuple[Record, ...] = ()
    changed: tuple[Record, ...] = ()
    removed: tuple[Record, ...] = ()
    unchanged: int = 0

    @property
    def records(self) -> list[Record]:
        """All that is to be written."""
        return [*self.added, *self.changed, *(each | {"removed": True} for each in self.removed)]


def key(record: Mapping[str, Any]) -> Key:
    """What a record is of."""
    return record["source"], record["host"]


def records(fleet: Fleet) -> list[Record]:
    """The targets of a fleet that can be shared."""
    return [shared.record(source, target) for source in shared.SOURCES for target in getattr(fleet, source).targets]


def one(source: str, entry: Mapping[str, Any]) -> Record:
    """The record of an entry of a fleet file.

    Raises:
        Misconfigured: names all that is wrong with it.
    """
    fleet, found = config.judged({source: {"targets": [dict(entry)]}}, shared=True)
    if found:
        told = [f"{'.'.join(map(str, at[3:] or at[1:]))}: {what}" for at, what in found]
        raise Misconfigured("\n  ".join([f"{source} of {entry.get('host')}:", *told]))
    return records(fleet)[0]


def plan(known: Mapping[Key, Record], wanted: Iterable[Record], *, prune: Collection[str] = ()) -> Plan:
    """What has to be written for these to be there; of the sources in `prune`, for no others to be there.

    Raises:
        Misconfigured: with those that stay, one name or place would be polled twice.
    """
    there = {each: record for each, record in known.items() if not record["removed"]}
    mine = {key(each): each for each in wanted}
    added = tuple(each for name, each in mine.items() if name not in there)
    changed = tuple(each for name, each in mine.items() if name in there and there[name] != each)
    removed = tuple(each for name, each in there.items() if name not in mine and each["source"] in prune)
    gone = {key(each) for each in removed}
    _check([each for name, each in {**there, **mine}.items() if name not in gone])
    return Plan(added, changed, removed, len(mine) - len(added) - len(changed))


def removal(known: Mapping[Key, Record], source: str, hosts: Iterable[str]) -> Plan:
    """What has to be written for these not to be there any more; of what is removed already, nothing.

    Raises:
        Misconfigured: one has never been there.
    """
    wanted = list(dict.fromkeys(hosts))
    named = [host for each, host in known if each == source]
    for host in wanted:
        if (source, host) not in known:
            near = get_close_matches(host, named, n=3)
            meant = f"; is it {' or '.join(near)}?" if near else "; `rackstream targets list` lists all"
            raise Misconfigured(f"no {source} target on Kafka is called {host}{meant}")
    found = [known[source, host] for host in wanted]
    there = tuple(each for each in found if not each["removed"])
    return Plan(removed=there, unchanged=len(found) - len(there))


def _check(all_of_them: list[Record]) -> None:
    document: dict[str, Any] = {}
    named: dict[str, list[str]] = {}
    for each in all_of_them:
        document.setdefault(each["source"], {"targets": []})["targets"].append(shared.settings(each))
        named.setdefault(each["source"], []).append(each["host"])
    _, found = config.judged(document)
    if found:
        told = [f"{at[0]} of {named[at[0]][at[2]]}: {'.'.join(map(str, at[3:]))}: {what}" for at, what in found]
        raise Misconfigured("\n  ".join(["with the targets on Kafka:", *told]))


def read(settings: KafkaSettings) -> dict[Key, Record]:
    """What is on the topic, what was removed among it.

    Raises:
        Retry: the broker did not answer.
    """
    try:
        return {key(each): each for each in newest(settings, ALIAS).values()}
    except KafkaException as error:
        raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error


def write(settings: KafkaSettings, changes: Plan) -> None:
    """Writes what is to be written.

    Raises:
        Retry: Kafka did not confirm.
        Misconfigured: a right lacks.
    """
    if not changes.records:
        return
    publish_schemas(settings, ("Target",))
    topic = settings.catalog[ALIAS]
    publisher = kafka.Publisher(settings, "rackstream-targets")
    for record in changes.records:
        value = codec.encode(catalog.schema(topic.schema), record)
        publisher.send(topic.name, topic.key_of(record), value, wait_s=CONFIRMED_S)
    left = publisher.flush(CONFIRMED_S)
    if publisher.denied is not None:
        raise publisher.denied
    if left or publisher.failures:
        publisher.purge()
        raise Retry(f"not confirmed by Kafka at {settings.bootstrap}; what was confirmed holds, so say it again")
