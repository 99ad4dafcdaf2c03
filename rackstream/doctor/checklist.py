"""The tables of checks: of one host, from its name to the sinks; and of the whole installation."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException, Message

from producers.fleet import config as fleet_file
from producers.fleet.config import Fleet, LibvirtTarget, RedfishSource, RedfishTarget
from producers.run import TOPICS
from rackstream.doctor import consumer_groups, hypervisor, kafka, producers, stores
from rackstream.doctor.bmc import Bmc
from rackstream.doctor.check import Check, Finding, Found, fail, ok, skipped, walk
from rackstream.doctor.evidence import Evidence
from rackstream.local import kafka_download
from rackstream.probe.target import hosts_of
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

SLOW_S: Final = 12.0
"""For what reads a topic whole."""


@dataclass(frozen=True)
class Wanted:
    """What is asked."""

    settings: KafkaSettings
    reached: KafkaSettings | Misconfigured
    """The same with an address of Kafka, or why there is none."""
    fleet: Path
    timeout_s: float
    """For each question to a target or to Kafka."""
    embedded: bool
    """Whether Kafka is the embedded one."""

    @cached_property
    def evidence(self) -> Evidence | None:
        """What Kafka tells, where it has an address."""
        return None if isinstance(self.reached, Misconfigured) else Evidence(self.reached)


def examine(wanted: Wanted, host: str | None) -> Found:
    """What is found of a host, or of the whole installation, from targets to sinks.

    Raises:
        Misconfigured: neither the fleet file nor Kafka knows the host, or the fleet file is not right.
    """
    fleet = fleet_file.load(wanted.fleet) if wanted.fleet.exists() else None
    at_kafka = kafka.checks(wanted.reached, wanted.timeout_s)
    if host is None:
        return walk([*at_kafka, *_whole(wanted, fleet), *_ends(wanted, None)])
    named = _named(fleet, host) or [(source, None) for source in _sources_on_kafka(wanted, host)]
    if not named:
        raise Misconfigured(_nobody(wanted, fleet, host))
    bmcs = {
        number: Bmc(each, wanted.timeout_s) for number, (_, each) in enumerate(named) if isinstance(each, RedfishTarget)
    }
    checks: list[Check] = []
    arriving: list[Check] = []
    for number, (source, target) in enumerate(named):
        own = [Check("target", partial(_target, wanted, source, target))]
        if number in bmcs:
            own += bmcs[number].checks()
        elif isinstance(target, LibvirtTarget):
            own += hypervisor.checks(target, wanted.timeout_s)
        prefix = f"{source}: " if len(named) > 1 else ""
        checks += _prefixed(own, prefix)
        arriving += _prefixed(_arriving(wanted, host, source, target), prefix)
    try:
        return walk([*checks, *at_kafka, *arriving, *_ends(wanted, host)])
    finally:
        for bmc in bmcs.values():
            bmc.close()


def _prefixed(checks: Sequence[Check], prefix: str) -> list[Check]:
    """The same under names of their own, for a host that several sources read."""
    own = {check.name for check in checks}
    return [
        replace(
            check, name=prefix + check.name, needs=tuple(prefix + need if need in own else need for need in check.needs)
        )
        for check in checks
    ]


def _target(wanted: Wanted, source: str, target: Any) -> Finding:
    if target is None:
        return skipped(f"{wanted.fleet} does not name it here; Kafka knows it as a target of {source}")
    if isinstance(target, RedfishTarget):
        only = Fleet(redfish=RedfishSource(targets=(target,)))
        try:
            fleet_file.check_references(only, wanted.fleet)
        except Misconfigured as error:
            lines = [line.strip() for line in str(error).splitlines()[1:]]
            return fail("; ".join(lines), "set it for the producer too, or correct the reference in the fleet file")
    where = {"redfish": "address", "libvirt": "uri"}.get(source)
    place = "" if where is None else " at " + hypervisor.shown(getattr(target, where))
    return ok(f"{source}{place}, every {target.interval:g} s, as {wanted.fleet} says")


def _arriving(wanted: Wanted, host: str, source: str, target: Any) -> list[Check]:
    """From the producer to raw records."""
    evidence = wanted.evidence
    if evidence is None:
        return []
    settings = evidence.settings
    named = host if target is None else target.host

    def status() -> Any:
        return producers.status_of(evidence, source, named)

    def newest() -> Message | None:
        return evidence.newest(TOPICS[source], host, _now())

    return [
        Check("producer", lambda: producers.producer(source, status(), evidence.beats, _now()), ("topics",), SLOW_S),
        Check("last poll", lambda: producers.last_poll(status(), _now()), ("producer",), SLOW_S),
        Check("records", lambda: producers.records(settings, source, newest(), _now()), ("producer",), SLOW_S),
        Check("clock", lambda: producers.record_clock(settings, source, newest()), ("producer",), SLOW_S),
    ]


def _whole(wanted: Wanted, fleet: Fleet | None) -> list[Check]:
    """All producers and targets."""
    evidence = wanted.evidence
    if evidence is None:
        return []
    names = fleet.sources if fleet else ()
    expected = [(source, target.host) for source in names for target in getattr(fleet, source).targets]
    return [
        Check("producers", lambda: producers.producers(names, evidence.beats, _now()), ("topics",), SLOW_S),
        Check(
            "targets",
            lambda: producers.targets(evidence.targets, expected, evidence.beats, _now()),
            ("topics",),
            SLOW_S,
        ),
        Check("clock", lambda: producers.clocks(evidence.beats), ("topics",), SLOW_S),
    ]


def _ends(wanted: Wanted, host: str | None) -> list[Check]:
    """From raw records to what is stored, and this machine."""
    settings, evidence, consuming = wanted.settings, wanted.evidence, list[Check]()
    if evidence is not None:
        consuming = [
            Check("processors", partial(consumer_groups.processors, evidence, host), ("topics",), SLOW_S),
            *(
                Check(f"sink {kind}", partial(consumer_groups.sink, evidence, kind, host), ("topics",), SLOW_S)
                for kind in consumer_groups.SINKS
            ),
            Check(
                "dead letters",
                lambda: consumer_groups.dead_letters(evidence.letters, host),
                ("topics",),
                SLOW_S,
                late_is="warn",
            ),
        ]
    places = stores.directories(settings)
    return [
        *consuming,
        Check("InfluxDB", partial(stores.influx, wanted.timeout_s), (), 2 * wanted.timeout_s + 1),
        Check("directories", partial(stores.writable, places)),
        Check("disk", partial(stores.room, [settings.data_dir, *places.values()])),
        Check("versions", partial(kafka.versions, kafka_download.VERSION if wanted.embedded else None)),
    ]


def _named(fleet: Fleet | None, host: str) -> Sequence[tuple[str, Any]]:
    names = fleet.sources if fleet else ()
    return [
        (source, target) for source in names for target in getattr(fleet, source).targets if host in hosts_of(target)
    ]


def _sources_on_kafka(wanted: Wanted, host: str) -> list[str]:
    """Of whom Kafka knows that they poll it; none where Kafka is away, which is found in a moment."""
    evidence = wanted.evidence
    if evidence is None or kafka.answers(evidence.settings, wanted.timeout_s).state != "ok":
        return []
    try:
        return sorted(target["source"] for target in evidence.targets if target["host"] == host)
    except KafkaException:
        return []


def _nobody(wanted: Wanted, fleet: Fleet | None, host: str) -> str:
    names = sorted(
        {
            name
            for source in (fleet.sources if fleet else ())
            for target in getattr(fleet, source).targets
            for name in hosts_of(target)
        }
    )
    near = difflib.get_close_matches(host, names, 3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    where = f"{wanted.fleet} names no {host}" if fleet else f"there is no {wanted.fleet} (name it by --fleet)"
    return f"{where}, and Kafka knows no such target{hint}"


def _now() -> datetime:
    return datetime.now(UTC)
