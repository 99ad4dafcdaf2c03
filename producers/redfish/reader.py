"""One BMC as a Reader: what it has is discovered once, then polled by category.

A resource that is not got is counted and does not lose the rest; only a BMC that gives nothing fails the poll.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from producers.reader import Facts, PollFailed, Problems, Sample
from producers.redfish.chassis_resources import SIDES
from producers.redfish.dedup import Once
from producers.redfish.discovery import LINKS, Discovery, Plan, end_of
from producers.redfish.fetch import Found, Walk
from producers.redfish.http.client import Client, Clock
from producers.redfish.http.errors import Denied, Fault, Unreachable
from producers.redfish.http.negative_cache import PatientClient
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import Json, Table, row, rows
from producers.redfish.source_selection import KINDS
from producers.redfish.system_resources import GATHER

CATEGORIES: Final[Mapping[str, tuple[Table, ...]]] = {
    "system": (tables.SYSTEM,),
    **{category: tuple(table for kind in kinds for table in SIDES[kind].values()) for category, kinds in KINDS.items()},
    "processor": (tables.PROCESSOR,),
    "memory": (tables.DIMM,),
    "network": (tables.INTERFACE,),
    "storage": (tables.CONTROLLER, tables.DRIVE),
}
"""Category → the tables of its resources."""
ARRAYS: Final[Mapping[str, tuple[str, ...]]] = {
    category: tuple(dict.fromkeys(table.record for table in each)) for category, each in CATEGORIES.items()
}
"""Category → the arrays of the record that it fills."""
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

    @property
    def chassis_systems(self) -> Mapping[str, tuple[str, ...]]:
        """`chassis_id` of the records → `system_id`s of the Systems in it; empty before the first poll."""
        return {each.owner: each.systems for each in self._plan.chassis}

    @property
    def system_ids(self) -> tuple[str, ...]:
        """`system_id`s of the Systems that the BMC lists; empty before the first poll."""
        return tuple(system.owner for system in self._plan.systems)

    def facts(self) -> Facts:
        """The client's counts, its session, and who answers, as far as it tells."""
        return Facts(
            requests=self._raw_client.requests,
            request_s=self._raw_client.request_s,
            session_uri=self._raw_client.session_uri,
            vendor=self._discovery.told("Vendor", "Manufacturer"),
            model=self._discovery.told("Model", "Product"),
            firmware=self._discovery.firmware,
        )

    def hurry(self) -> None:
        """Nothing more is asked."""
        self._raw_client.hurried = True

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
        arrays: Arrays = {name: [] for names in ARRAYS.values() for name in names}
        if category in OUTER and not _links(plan, category):
            if category == "system" or not plan.problems.counts:  # else those say why
                problems.add(category, "the BMC links no such resource", whole=category != "system")
            return arrays
        walk = Walk(self._client, plan.learnt, self._clock(), deadline_s, problems)
        found = list(GATHER[category](walk, plan))
        if not walk.got and not walk.faults:  # nothing to ask for: whether the BMC is there has to be known still
            walk.all([each.uri for each in (*plan.systems, *plan.chassis)][:1])
        self._judge(plan, walk)
        once = Once(problems)
        for each in found:
            for table in each.tables:
                arrays[table.record] += once.records(table, each, _records(table, each, problems))
        if not found and not walk.faults:
            problems.add(category, "the BMC lists none")
        return arrays

    def _judge(self, plan: Plan, walk: Walk) -> None:
        """Fails the poll if its faults are the BMC's; discovers anew after one that got nothing."""
        nothing = not walk.got
        if plan.outdated or (nothing and any(fault.fresh for fault in walk.faults)):
            plan.until_s = float("-inf")
            self._discovery.forget()
        for fault in walk.faults:
            if isinstance(fault, Denied) or (nothing and isinstance(fault, Unreachable)):
                raise fault


def _links(plan: Plan, category: str) -> bool:
    if category == "system":
        return bool(plan.systems)
    return any(name in each.links for each in plan.chassis for name in LINKS[category])


def _records(table: Table, found: Found, problems: Problems) -> list[dict[str, Any]]:
    if table.each:
        return list(rows(table, found.document, problems))
    return [row(table, found.document, problems, instead=end_of(found.uri))]
