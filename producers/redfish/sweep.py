"""One BMC as a Reader: what it has is discovered once, then polled by category. No session yet.

A resource that is not got is counted and does not lose the rest; only a BMC that gives nothing fails the poll.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from producers.reader import Facts, PollFailed, Problems, Sample
from producers.redfish import tables
from producers.redfish.client import Client, Clock
from producers.redfish.faults import Denied, Fault, Unreachable
from producers.redfish.fields import Json, Table, row, rows, text
from producers.redfish.inventory import GATHER
from producers.redfish.patience import PatientClient, key_of
from producers.redfish.plan import LINKS, Discovery, Plan, end_of
from producers.redfish.walk import Found, Walk

CATEGORIES: Final[Mapping[str, tuple[Table, ...]]] = {
    "system": (tables.SYSTEM,),
    "thermal": (tables.TEMPERATURE, tables.FAN),
    "power": (tables.POWER_CONTROL, tables.VOLTAGE, tables.POWER_SUPPLY),
    "processor": (tables.PROCESSOR,),
    "memory": (tables.DIMM,),
    "network": (tables.INTERFACE,),
    "storage": (tables.CONTROLLER, tables.DRIVE),
}
"""Category → the tables of its resources."""
OUTER: Final = ("system", "thermal", "power")
"""The categories of few resources, without one of which a target is partial; the others ask for each member."""

Arrays = dict[str, list[dict[str, Any]]]


class RedfishReader:
    """One BMC; implements `producers.reader.Reader`. Categories may be polled at the same time."""

    source = "redfish"

    def __init__(
        self,
        host: str,
        client: Client,
        *,
        labels: Mapping[str, str],
        intervals: Mapping[str, float],
        clock: Clock = time.monotonic,
    ) -> None:
        self.host = host
        self.address = client.origin
        self.labels = labels
        self.intervals = intervals
        self._clock = clock
        self._raw_client = client
        self._client = PatientClient(client, clock)
        self._discovery = Discovery(self._client, clock)
        self._discovering = threading.Lock()
        self._plan = Plan(until_s=float("-inf"))

    def read(self, category: str, timeout_s: float) -> Sample:
        """Polls one category within `timeout_s` seconds; the arrays of the others are empty.

        Raises:
            PollFailed: the BMC does not answer, or refuses the credentials.
        """
        deadline_s = self._clock() + timeout_s
        problems = Problems()
        try:
            plan = self._current_plan(deadline_s)
            arrays = self._sweep(category, plan, deadline_s, problems)
        except Fault as fault:
            raise self._failed(fault) from None
        if category in LINKS:
            problems.merge(plan.problems)
        return Sample({"address": self.address, **arrays}, problems)

    def discover(self, timeout_s: float) -> Json:
        """What the BMC has is found out anew within `timeout_s` seconds, whatever failed before. Its service root.

        Raises:
            PollFailed: the BMC does not answer, refuses the credentials, or is no Redfish service.
        """
        self._plan.until_s = float("-inf")
        self._discovery.forget()
        self._client.forget()
        try:
            self._current_plan(self._clock() + timeout_s)
        except Fault as fault:
            raise self._failed(fault) from None
        return self.root

    @property
    def root(self) -> Json:
        """The service root as last read; empty before that."""
        return self._discovery.root

    def facts(self) -> Facts:
        """Who answers, as far as the service root tells."""
        return Facts(vendor=text(self.root.get("Vendor")), model=text(self.root.get("Product")))

    def close(self) -> None:
        """Closes the connections."""
        self._raw_client.close()

    def _failed(self, fault: Fault) -> PollFailed:
        status = "auth_failed" if isinstance(fault, Denied) else "unreachable"
        return PollFailed(status, f"{self.address}: {fault}")

    def _current_plan(self, deadline_s: float) -> Plan:
        """The plan, discovered by one thread while the others wait for it."""
        if not self._discovering.acquire(timeout=max(0.0, deadline_s - self._clock())):
            raise Unreachable("still being discovered")
        try:
            if self._clock() >= self._plan.until_s:
                self._plan = self._discovery.run(deadline_s)
            return self._plan
        finally:
            self._discovering.release()

    def _sweep(self, category: str, plan: Plan, deadline_s: float, problems: Problems) -> Arrays:
        """The records of a category, each reading once."""
        arrays: Arrays = {table.record: [] for each in CATEGORIES.values() for table in each}
        if category in OUTER and not plan.resources[category]:
            if category == "system" or not plan.problems.counts:  # else those say why
                problems.add(category, "the BMC links no such resource", whole=category != "system")
            return arrays
        walk = Walk(self._client, deadline_s, problems)
        seen: set[tuple[str | None, ...]] = set()
        found = list(GATHER[category](walk, plan))
        self._judge(plan, walk)
        for each in found:
            _fill(arrays, category, each, (seen, problems))
        if not found and not walk.faults:
            problems.add(category, "the BMC lists none")
        return arrays

    def _judge(self, plan: Plan, walk: Walk) -> None:
        """Fails the poll if its faults are the BMC's; discovers anew after one that got nothing."""
        nothing = not walk.got
        if nothing and any(fault.fresh for fault in walk.faults):
            plan.until_s = float("-inf")
            self._discovery.forget()
        for fault in walk.faults:
            if isinstance(fault, Denied) or (nothing and isinstance(fault, Unreachable)):
                raise fault


def _fill(arrays: Arrays, category: str, found: Found, memory: tuple[set[tuple[str | None, ...]], Problems]) -> None:
    """Adds the records of one document; what was added already, of this or of another document, is left out."""
    seen, problems = memory
    for table in CATEGORIES[category]:
        for bare in _records(table, found, problems):
            record = {**bare, **found.place}
            keys: set[tuple[str | None, ...]] = {(table.record, *found.place.values(), record[table.identity])}
            uri = key_of(record["odata_id"] or "")
            # Some BMCs give each entry of an array the URI of its resource.
            if uri and not (table.each and uri == key_of(found.uri)):
                keys.add(("uri", uri))
            if keys & seen:
                problems.add(table.record, "given twice, taken once")
            else:
                arrays[table.record].append(record)
            seen |= keys


def _records(table: Table, found: Found, problems: Problems) -> list[dict[str, Any]]:
    if table.each:
        return list(rows(table, found.document, problems))
    return [row(table, found.document, problems, instead=end_of(found.uri))]
