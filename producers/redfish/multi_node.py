"""One BMC of several hosts: which of its readings are whose. A host for each System that is mapped, else the enclosure.

A reading is a System's if it names it, or if its Chassis contains Systems of one host only. What is left is the
enclosure's: shared fans and supplies, Systems that nobody mapped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from producers.reader import Facts, Problems, Sample

if TYPE_CHECKING:
    from producers.redfish.reader import RedfishReader

Body = dict[str, Any]


def split(
    body: Mapping[str, Any], systems: Mapping[str, str], chassis: Mapping[str, Collection[str]]
) -> dict[str | None, Body]:
    """Host → its part of a sample's body, None for the enclosure's. Every host of `systems` has one, be it empty.

    Args:
        body: arrays of readings, and values that are everyone's.
        systems: System id → host.
        chassis: Chassis id → ids of the Systems it contains.
    """
    owners = {name: _owner(inside, systems) for name, inside in chassis.items()}
    shared = {name: value for name, value in body.items() if not isinstance(value, list)}
    parts: dict[str | None, Body] = {
        host: {**shared, **{name: [] for name in body if name not in shared}} for host in (None, *systems.values())
    }
    for name in body.keys() - shared.keys():
        for reading in body[name]:
            system = reading.get("system_id")
            # One that names a System is that System's, wherever it is plugged.
            host = owners.get(reading.get("chassis_id")) if system is None else systems.get(system)
            parts[host][name].append(reading)
    return parts


def _owner(inside: Collection[str], systems: Mapping[str, str]) -> str | None:
    """The one host of all Systems in a Chassis; None where there are none, several, or one that is not mapped."""
    hosts = {systems.get(system) for system in inside}
    return next(iter(hosts)) if len(hosts) == 1 else None


def share(problems: Problems, hosts: Collection[str]) -> dict[str | None, Problems]:
    """Host → what could not be read, None for the enclosure's.

    Each host has what was not got whole, for any of them may lack readings by that: else their absence would be taken
    for news. Single values are counted once, with the enclosure.
    """
    whole = Problems()
    for field, cause in problems.whole:
        whole.add(field, cause, problems.counts[field, cause], whole=True)
    return {None: problems, **dict.fromkeys(hosts, whole)}


class NodesReader:
    """A reader whose BMC has several hosts: a sample for each, and one for the enclosure, by the target's name."""

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
            PollFailed: the BMC does not answer, or refuses the credentials.
        """
        sample = self._reader.read(category, timeout_s)
        problems = share(sample.problems, set(self._systems.values()))
        for system, host in self._systems.items():
            if system not in self._reader.system_ids:  # else its host would be up, and empty for good
                problems[host] = own = deepcopy(problems[host])
                there = ", ".join(self._reader.system_ids) or "none"
                own.add(f"systems.{system}", f"the BMC has no such System, but {there}", whole=True)
        parts = split(sample.body, self._systems, self._reader.chassis_systems)
        return [Sample(body, problems[host], host) for host, body in parts.items()]

    def facts(self) -> Facts:
        """Of the BMC."""
        return self._reader.facts()

    def hurry(self) -> None:
        """Nothing more is asked."""
        self._reader.hurry()

    def close(self) -> None:
        """Closes the connections."""
        self._reader.close()
