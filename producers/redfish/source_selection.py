"""Which side each kind of reading of each chassis is read from: found out once, then only that side is asked.

Neither generation of Redfish is complete on real BMCs, and both show the same sensors. So one side is taken whole for
one kind of one chassis, never both: the one with more usable readings. Sensors one by one are the last resort.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from producers.reader import Problems
from producers.redfish.cache import Choice, Problem
from producers.redfish.chassis_resources import READ, SIDES, present, sensors
from producers.redfish.discovery import LINKS, UNFINISHED_S, Resource
from producers.redfish.fetch import Found, Walk
from producers.redfish.http.errors import Fault, Missing
from producers.redfish.http.negative_cache import DEAD_S, key_of
from producers.redfish.mapping.table import Json, Table, rows

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "thermal": ("temperatures", "fans"),
    "power": ("power_controls", "voltages", "power_supplies"),
}
"""Category → its kinds of readings."""
LINKED_BY: Final = {
    "Thermal": "Thermal",
    "ThermalMetrics": "ThermalSubsystem",
    "Fans": "ThermalSubsystem",
    "Sensors": "Sensors",
    "Power": "Power",
    "PowerSupplies": "PowerSubsystem",
    "EnvironmentMetrics": "EnvironmentMetrics",
}
"""Side → the property of the Chassis that leads to it."""
TOTAL: Final = "power_controls"
LEFT_OUT: Final = "a request for each of them, left out"

Key = tuple[str, str]
"""URI of a chassis, and a kind of reading."""


class Worth(NamedTuple):
    """How much of a kind a side has; the larger is the better."""

    usable: int
    unusable: int
    """Entries, where none of them is usable; what has readings gains nothing by empty slots."""


def gather(walk: Walk, category: str, chassis: Sequence[Resource]) -> Iterator[Found]:
    """The documents of a category: of each chassis and kind the one of the side chosen."""
    poll = _Poll(walk, category, [each for each in chassis if any(name in each.links for name in LINKS[category])])
    poll.read_chosen()
    poll.choose()
    yield from poll.found()


class _Poll:
    """One poll of one category."""

    def __init__(self, walk: Walk, category: str, chassis: Sequence[Resource]) -> None:
        self._walk = walk
        self._chassis = {each.uri: each for each in chassis}
        self._kinds = KINDS[category]
        self._told: dict[tuple[str, str], Json | None] = {}
        """(Side, URI of the chassis) → what it says."""
        self._asked: set[tuple[str, str, str]] = set()
        """(Side, URI of the chassis, kind), of what was to be read."""
        self._choices: dict[Key, Choice] = {}
        for each in chassis:
            for kind in self._kinds:
                choice = walk.learnt.choices.get((each.uri, kind))
                if choice and walk.now_s < choice.until_s:
                    self._choices[each.uri, kind] = choice

    def read_chosen(self) -> None:
        """Reads what was chosen at a poll before."""
        self._read((choice.side, uri, kind) for (uri, kind), choice in self._choices.items())
        for each in dict.fromkeys(problem for choice in self._choices.values() for problem in choice.problems):
            self._walk.problems.add(each.where, each.cause, whole=each.whole)
        for (uri, kind), choice in self._choices.items():
            if choice.side and any(isinstance(fault, Missing) for fault in self._faults(uri, choice.side)):
                self._walk.learnt.choices.pop((uri, kind), None)  # it has gone; the next poll chooses anew

    def choose(self) -> None:
        """Reads all sides of what is not chosen yet; Sensors only where the others have nothing."""
        open_ = [(uri, kind) for uri in self._chassis for kind in self._kinds if (uri, kind) not in self._choices]
        self._read((side, uri, kind) for uri, kind in open_ for side in SIDES[kind] if side != "Sensors")
        if self._walk.learnt.expanding.works:  # one request, and more in it
            self._read(("Sensors", *key) for key in open_ if self._best(*key)[0] == "ThermalMetrics")
        some = any(self._best(uri, kind)[1].usable for uri in self._chassis for kind in self._kinds)
        poor = [key for key in open_ if "Sensors" in SIDES[key[1]] and not self._best(*key)[1].usable]
        left_out = some and not self._walk.learnt.expanding.works
        if not left_out:
            self._read(("Sensors", *key) for key in poor)
        for key in open_:
            self._decide(key, left_out=left_out and key in poor)

    def found(self) -> Iterator[Found]:
        """The documents of the sides chosen."""
        totals = {uri for (uri, kind), choice in self._choices.items() if kind == TOTAL and choice.side}
        for (uri, kind), choice in self._choices.items():
            document, chassis = self._told.get((choice.side, uri)), self._chassis[uri]
            if document is None or (choice.side == "EnvironmentMetrics" and self._within(chassis, totals)):
                continue
            place = {"chassis_id": chassis.owner}
            yield Found(chassis.links[LINKED_BY[choice.side]], document, place, (SIDES[kind][choice.side],))

    def _within(self, chassis: Resource, totals: Collection[str]) -> bool:
        """Whether a chassis around this one tells a total too, of which this one's is a part."""
        by_key = {key_of(uri): each for uri, each in self._chassis.items()}
        seen, around = [chassis.uri], by_key.get(key_of(chassis.within))
        while around is not None:
            if around.uri in seen:
                return False  # in a circle none is the outermost: each is told
            seen.append(around.uri)
            around = by_key.get(key_of(around.within))
        return any(uri in totals for uri in seen[1:])

    def _read(self, wanted: Iterable[tuple[str, str, str]]) -> None:
        """Reads (side, URI of a chassis, kind), each resource once."""
        sides: dict[str, dict[str, set[str]]] = {}
        for side, uri, kind in wanted:
            self._asked.add((side, uri, kind))
            if side and (side, uri) not in self._told and LINKED_BY[side] in self._chassis[uri].links:
                sides.setdefault(side, {}).setdefault(uri, set()).add(SIDES[kind][side].each)
        for side, uris in sides.items():
            chassis = [self._chassis[uri] for uri in uris]
            if side == "Sensors":
                names = {name for each in uris.values() for name in each}
                if self._walk.learnt.expanding.works:  # they come all at once: none is asked for twice
                    names = {each[side].each for kind in self._kinds if side in (each := SIDES[kind])}
                told = sensors(self._walk, chassis, names)
            else:
                told = READ[side](self._walk, chassis)
            self._told |= {(side, uri): one for uri, one in zip(uris, told, strict=True)}

    def _best(self, uri: str, kind: str) -> tuple[str, Worth]:
        """The side that has most; the first of equal ones, and none where no side was got."""
        asked = [side for side in SIDES[kind] if (side, uri, kind) in self._asked]
        got = {side: self._told[side, uri] for side in asked if self._told.get((side, uri)) is not None}
        worths = {side: _worth(SIDES[kind][side], document) for side, document in got.items()}
        return max(worths.items(), key=lambda each: each[1], default=("", Worth(0, 0)))

    def _decide(self, key: Key, *, left_out: bool) -> None:
        uri, kind = key
        side, worth = self._best(uri, kind)
        faults = {where: fault for each in SIDES[kind] for where, fault in self._faults_of(uri, each).items()}
        first = next(iter(SIDES[kind]))
        if any(fault.fresh and not isinstance(fault, Missing) for fault in faults.values()):
            # What did not answer is not stood in for, else the same sensors would have two names in turns.
            if (first, uri) in self._told and self._told[first, uri] is not None:
                self._choices[key] = Choice(first, 0.0)
            return
        taken = self._faults_of(uri, side) if side else {}
        # One that fails for whatever reason may have readings: that it is no longer asked makes its failure no smaller.
        problems = [
            Problem(where, str(fault), whole=not isinstance(fault, Missing))
            for where, fault in faults.items()
            if where not in taken
        ]
        if left_out and "Sensors" in self._chassis[uri].links:
            link = self._chassis[uri].links["Sensors"]
            problems.append(Problem(link, LEFT_OUT, whole=False))
            self._walk.problems.add(link, LEFT_OUT)
        again_s = float("inf") if worth.usable else DEAD_S
        if not all(isinstance(fault, Missing) for fault in faults.values()):
            again_s = UNFINISHED_S
        until_s = self._walk.now_s + again_s
        choice = Choice(side if any(worth) else "", until_s, tuple(problems))
        self._choices[key] = self._walk.learnt.choices[key] = choice

    def _faults_of(self, uri: str, side: str) -> dict[str, Fault]:
        link = self._chassis[uri].links.get(LINKED_BY[side])
        return self._walk.missed(link) if link else {}

    def _faults(self, uri: str, side: str) -> list[Fault]:
        return list(self._faults_of(uri, side).values())


def _worth(table: Table, document: Json | None) -> Worth:
    records = list(rows(table, document, Problems())) if document else []
    there = [record for record in records if present(record)]
    if table.reading:
        there = [each for each in there if any(each[name] is not None for name in table.reading)]
    return Worth(len(there), 0 if there else len(records))
