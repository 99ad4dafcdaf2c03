"""Tables of checks: for one host, from its name to the sinks, and for all of the pipeline."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException, Message

from producers.fleet import config as fleet_file
from producers.fleet.config import Fleet
from producers.fleet.targets import FleetTarget, LibvirtTarget, RedfishTarget
from rackstream.doctor import consumer_groups, hypervisor, kafka, producers, stores
from rackstream.doctor.bmc import BmcChecks
from rackstream.doctor.check import CheckResult, DoctorCheck, Results, fail, ok, run_checks, skipped
from rackstream.doctor.evidence import Evidence
from rackstream.local import kafka_download
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas.sources import SOURCES
from sinks.registry import SINKS

if TYPE_CHECKING:
    from schemas.records import TargetStatus

SLOW_TIMEOUT_S: Final = 12.0
"""Timeout of checks that read a whole topic."""


@dataclass(frozen=True)
class DoctorOptions:
    """Options of one run of the doctor."""

    settings: KafkaSettings
    kafka: KafkaSettings | Misconfigured
    """The settings with Kafka's address, or why there is none."""
    fleet: Path
    timeout_s: float
    """Timeout of each request to a target or to Kafka."""
    embedded: bool
    """True if Kafka is the embedded one."""

    @cached_property
    def evidence(self) -> Evidence | None:
        """The pipeline's state on Kafka; None if Kafka has no address."""
        return None if isinstance(self.kafka, Misconfigured) else Evidence(self.kafka)


def examine(options: DoctorOptions, host: str | None) -> Results:
    """Checks one host, or the whole installation if `host` is None.

    Raises:
        Misconfigured: Neither the fleet file nor Kafka names the host, or the fleet file is invalid.
    """
    fleet = fleet_file.load(options.fleet) if options.fleet.exists() else None
    kafka_checks = kafka.checks(options.kafka, options.timeout_s)
    if host is None:
        return run_checks([*kafka_checks, *_fleet_checks(options, fleet), *_downstream_checks(options, None)])
    targets: list[tuple[str, FleetTarget | None]] = [*_targets_of(fleet, host)]
    if not targets:
        targets = [(source, None) for source in _sources_on_kafka(options, host)]
    if not targets:
        raise Misconfigured(_unknown_host(options, fleet, host))
    bmcs: list[BmcChecks] = []
    target_checks: list[DoctorCheck] = []
    record_checks: list[DoctorCheck] = []
    for source, target in targets:
        checks = [DoctorCheck("target", partial(_check_target, options, source, target))]
        if isinstance(target, RedfishTarget):
            bmcs.append(BmcChecks(target, options.timeout_s))
            checks += bmcs[-1].checks()
        elif isinstance(target, LibvirtTarget):
            checks += hypervisor.checks(target, options.timeout_s)
        prefix = f"{source}: " if len(targets) > 1 else ""
        target_checks += _prefixed(checks, prefix)
        record_checks += _prefixed(_record_checks(options, host, source, target), prefix)
    try:
        return run_checks([*target_checks, *kafka_checks, *record_checks, *_downstream_checks(options, host)])
    finally:
        for bmc in bmcs:
            bmc.close()


def _prefixed(checks: Sequence[DoctorCheck], prefix: str) -> list[DoctorCheck]:
    """Prefixes the names of checks, for a host that several sources poll."""
    names = {check.name for check in checks}
    return [
        replace(
            check,
            name=prefix + check.name,
            needs=tuple(prefix + need if need in names else need for need in check.needs),
        )
        for check in checks
    ]


def _check_target(options: DoctorOptions, source: str, target: FleetTarget | None) -> CheckResult:
    if target is None:
        return skipped(f"not in {options.fleet}; on Kafka it is a {source} target")
    if isinstance(target, RedfishTarget):
        try:
            fleet_file.check_references([target], options.fleet)
        except Misconfigured as error:
            lines = [line.strip() for line in str(error).splitlines()[1:]]
            return fail("; ".join(lines), "set it for the producer too, or correct the reference in the fleet file")
    address = f" at {hypervisor.display_uri(target.location)}" if target.location else ""
    return ok(f"{source}{address}, every {target.interval:g} s ({options.fleet})")


def _record_checks(options: DoctorOptions, host: str, source: str, target: FleetTarget | None) -> list[DoctorCheck]:
    """Returns the checks from the producer to raw records."""
    evidence = options.evidence
    if evidence is None:
        return []
    settings = evidence.settings
    target_host = host if target is None else target.host

    def status() -> TargetStatus | None:
        return producers.status_of(evidence, source, target_host)

    def newest() -> Message | None:
        return evidence.newest_record(SOURCES[source].raw_topic, host, _now())

    def producer() -> CheckResult:
        return producers.check_producer(source, status(), evidence.heartbeats, _now())

    def last_poll() -> CheckResult:
        return producers.check_last_poll(status(), _now())

    def records() -> CheckResult:
        return producers.check_records(settings, source, newest(), _now())

    def clock() -> CheckResult:
        return producers.check_record_clock(settings, source, newest())

    return [
        DoctorCheck("producer", producer, ("topics",), SLOW_TIMEOUT_S),
        DoctorCheck("last poll", last_poll, ("producer",), SLOW_TIMEOUT_S),
        DoctorCheck("records", records, ("producer",), SLOW_TIMEOUT_S),
        DoctorCheck("clock", clock, ("producer",), SLOW_TIMEOUT_S),
    ]


def _fleet_checks(options: DoctorOptions, fleet: Fleet | None) -> list[DoctorCheck]:
    """Returns the checks of all producers and targets."""
    evidence = options.evidence
    if evidence is None:
        return []
    sources = fleet.sources if fleet else ()
    expected = [(source, target.host) for source, target in _targets(fleet)]

    def all_producers() -> CheckResult:
        return producers.check_producers(sources, evidence.heartbeats, _now())

    def targets() -> CheckResult:
        return producers.check_targets(evidence.targets, expected, evidence.heartbeats, _now())

    def clock() -> CheckResult:
        return producers.check_clocks(evidence.heartbeats)

    return [
        DoctorCheck("producers", all_producers, ("topics",), SLOW_TIMEOUT_S),
        DoctorCheck("targets", targets, ("topics",), SLOW_TIMEOUT_S),
        DoctorCheck("clock", clock, ("topics",), SLOW_TIMEOUT_S),
    ]


def _downstream_checks(options: DoctorOptions, host: str | None) -> list[DoctorCheck]:
    """Returns the checks from raw records to what is stored, and of this machine."""
    settings, evidence = options.settings, options.evidence
    group_checks: list[DoctorCheck] = []
    if evidence is not None:
        group_checks = [
            DoctorCheck(
                "processors", partial(consumer_groups.check_processors, evidence, host), ("topics",), SLOW_TIMEOUT_S
            ),
            *(
                DoctorCheck(
                    f"sink {kind}",
                    partial(consumer_groups.check_sink, evidence, kind, host),
                    ("topics",),
                    SLOW_TIMEOUT_S,
                )
                for kind in SINKS
            ),
            DoctorCheck(
                "dead letters",
                lambda: consumer_groups.check_dead_letters(evidence.dead_letters, host),
                ("topics",),
                SLOW_TIMEOUT_S,
                timeout_state="warn",
            ),
        ]
    directories = stores.directories(settings)
    return [
        *group_checks,
        DoctorCheck("InfluxDB", partial(stores.check_influx, options.timeout_s), (), 2 * options.timeout_s + 1),
        DoctorCheck("directories", partial(stores.check_writable, directories)),
        DoctorCheck("disk", partial(stores.check_disks, [settings.data_dir, *directories.values()])),
        DoctorCheck("versions", partial(kafka.versions, kafka_download.VERSION if options.embedded else None)),
    ]


def _targets(fleet: Fleet | None) -> list[tuple[str, FleetTarget]]:
    if fleet is None:
        return []
    return [(source, target) for source in fleet.sources for target in fleet.targets(source)]


def _targets_of(fleet: Fleet | None, host: str) -> list[tuple[str, FleetTarget]]:
    return [(source, target) for source, target in _targets(fleet) if host in target.hosts]


def _sources_on_kafka(options: DoctorOptions, host: str) -> list[str]:
    """Returns the sources that have polled a host; none if Kafka is unreachable."""
    evidence = options.evidence
    if evidence is None or kafka.check_brokers(evidence.settings, options.timeout_s).state != "ok":
        return []
    try:
        return sorted(target["source"] for target in evidence.targets if target["host"] == host)
    except KafkaException:
        return []


def _unknown_host(options: DoctorOptions, fleet: Fleet | None, host: str) -> str:
    names = sorted({name for _, target in _targets(fleet) for name in target.hosts})
    matches = difflib.get_close_matches(host, names, 3)
    hint = f"; did you mean {', '.join(matches)}?" if matches else ""
    place = f"{options.fleet} has no {host}" if fleet else f"there is no {options.fleet} (set it with --fleet)"
    return f"{place}, and Kafka has no status of such a target{hint}"


def _now() -> datetime:
    return datetime.now(UTC)
