"""Splits the readings of a BMC that serves several hosts: one sample per host, and one for the enclosure.

A reading belongs to a System if it names it, or if its Chassis contains Systems of one host only. All else belongs to
the enclosure: shared fans and power supplies, Systems that are mapped to no host.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from producers.reader import Problems, Sample, TargetFacts

if TYPE_CHECKING:
    from producers.redfish.reader import RedfishReader


def split_body(
    body: Mapping[str, Any], systems: Mapping[str, str], chassis: Mapping[str, Collection[str]]
) -> dict[str | None, dict[str, Any]]:
    """Returns host → its part of a sample's body, None → the enclosure's. Every host has a part, which may be empty.

    Args:
        body: Fields of `RedfishSample`: arrays of readings, and values that apply to all hosts.
        systems: System id → host.
        chassis: Chassis id → ids of the Systems it contains.
    """
    hosts_by_chassis = {name: _common_host(system_ids, systems) for name, system_ids in chassis.items()}
    shared = {name: value for name, value in body.items() if not isinstance(value, list)}
    parts: dict[str | None, dict[str, Any]] = {
        host: {**shared, **{name: [] for name in body if name not in shared}} for host in (None, *systems.values())
    }
    for name in body.keys() - shared.keys():
        for reading in body[name]:
            system = reading.get("system_id")
            # A reading that names a System belongs to it, whatever chassis it is plugged in.
            host = hosts_by_chassis.get(reading.get("chassis_id")) if system is None else systems.get(system)
            parts[host][name].append(reading)
    return parts


def _common_host(system_ids: Collection[str], systems: Mapping[str, str]) -> str | None:
    """Returns the host of all Systems in a Chassis; None if they have none, several, or one is not mapped."""
    hosts = {systems.get(system) for system in system_ids}
    return next(iter(hosts)) if len(hosts) == 1 else None


def split_problems(problems: Problems, hosts: Collection[str]) -> dict[str | None, Problems]:
    """Returns host → its problems, None → the enclosure's.

    Failures of whole resources are counted for every host, because any of them may lack readings for that reason, and
    missing readings must not be mistaken for removed parts. Single values are counted once, for the enclosure.
    """
    whole = Problems()
    for field, cause in problems.whole:
        whole.add(field, cause, problems.counts[field, cause], whole=True)
    return {None: problems, **dict.fromkeys(hosts, whole)}


class MultiNodeReader:
    """Reader of a BMC that serves several hosts; the sample of the enclosure has the target's name as its host."""

    source = "redfish"

    def __init__(self, reader: RedfishReader, systems: Mapping[str, str]) -> None:
        self._reader = reader
        self._systems = systems
        self.host = reader.host
        self.address = reader.address
        self.labels = reader.labels
        self.intervals = reader.intervals

    def read(self, category: str, timeout_s: float) -> list[Sample]:
        """Polls one category within `timeout_s` seconds.

        Raises:
            PollFailed: The BMC does not respond, or refuses the credentials.
        """
        sample = self._reader.read(category, timeout_s)
        problems = split_problems(sample.problems, set(self._systems.values()))
        for system, host in self._systems.items():
            if system not in self._reader.system_ids:  # else the host would be up without ever having a reading
                problems[host] = deepcopy(problems[host])
                existing = ", ".join(self._reader.system_ids) or "none"
                problems[host].add(f"systems.{system}", f"the BMC has no such System, but {existing}", whole=True)
        parts = split_body(sample.body, self._systems, self._reader.chassis_systems)
        return [Sample(body, problems[host], host) for host, body in parts.items()]

    def facts(self) -> TargetFacts:
        """Returns the facts of the BMC."""
        return self._reader.facts()

    def abort(self) -> None:
        """Aborts polls in progress; no further requests are sent."""
        self._reader.abort()

    def close(self) -> None:
        """Deletes the session and closes the connections."""
        self._reader.close()
