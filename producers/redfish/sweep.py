"""One BMC as a Reader: what it has is discovered once, then polled by category. Plain GETs; no session, no $expand yet.

A resource that is not got is counted and does not lose the rest; only a BMC that gives nothing fails the poll.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from producers.reader import PollFailed, Problems, Sample
from producers.redfish import tables
from producers.redfish.client import Client, Clock
from producers.redfish.faults import Denied, Fault, Missing, Unreachable
from producers.redfish.fields import Json, Table, row, rows
from producers.redfish.patience import PatientClient, key_of
from producers.redfish.plan import Discovery, Plan, Resource

CATEGORIES: Final[Mapping[str, tuple[Table, ...]]] = {
    "system": (tables.SYSTEM,),
    "thermal": (tables.TEMPERATURE, tables.FAN),
    "power": (tables.POWER_CONTROL, tables.VOLTAGE, tables.POWER_SUPPLY),
}
"""Category → the tables of its resources."""

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
            status = "auth_failed" if isinstance(fault, Denied) else "unreachable"
            raise PollFailed(status, f"{self.address}: {fault}") from None
        if category != "system":
            problems.merge(plan.problems)
        return Sample({"address": self.address, **arrays}, problems)

    def close(self) -> None:
        """Closes the connections."""
        self._raw_client.close()

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
        resources = plan.resources[category]
        if not resources:
            if category == "system" or not plan.problems.counts:  # else those say why
                problems.add(category, "the BMC links no such resource", whole=category != "system")
            return arrays
        answers = self._client.together([resource.uri for resource in resources], deadline_s)
        faults: list[Fault] = []
        seen: set[tuple[str, ...]] = set()
        for resource, answer in zip(resources, answers, strict=True):
            if isinstance(answer, Fault):
                faults.append(answer)
                problems.add(resource.uri, str(answer), whole=not isinstance(answer, Missing))
            else:
                _fill(arrays, category, resource, answer, (seen, problems))
        self._judge(plan, faults, nothing=len(faults) == len(resources))
        return arrays

    def _judge(self, plan: Plan, faults: list[Fault], *, nothing: bool) -> None:
        """Fails the poll if its faults are the BMC's; discovers anew after one that got nothing."""
        if nothing and any(fault.fresh for fault in faults):
            plan.until_s = float("-inf")
            self._discovery.forget()
        for fault in faults:
            if isinstance(fault, Denied) or (nothing and isinstance(fault, Unreachable)):
                raise fault


def _fill(
    arrays: Arrays, category: str, resource: Resource, answer: Json, memory: tuple[set[tuple[str, ...]], Problems]
) -> None:
    """Adds the records of one resource; what was added already, here or from another resource, is left out."""
    seen, problems = memory
    for table in CATEGORIES[category]:
        found = rows(table, answer, problems) if table.each else [row(table, answer, problems, instead=resource.owner)]
        for record in found:
            if table.each:
                record["chassis_id"] = resource.owner
            keys: set[tuple[str, ...]] = {(table.record, resource.owner if table.each else "", record[table.identity])}
            uri = key_of(record["odata_id"] or "")
            if uri and uri != key_of(resource.uri):  # some BMCs give each entry the URI of its resource
                keys.add(("uri", uri))
            if keys & seen:
                problems.add(table.record, "given twice, taken once")
            else:
                arrays[table.record].append(record)
            seen |= keys
