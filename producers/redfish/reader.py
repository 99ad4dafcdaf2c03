"""Polls one BMC by category: discovers once what it has, then reads the resources of a category at each poll.

A resource that cannot be read is counted and does not affect the others. The poll fails only if the BMC returns nothing
at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Final

from producers.reader import PollFailed, Problems, Sample, TargetFacts
from producers.redfish.chassis_resources import SOURCES
from producers.redfish.dedup import ReadingDedup
from producers.redfish.discovery import CHASSIS_LINKS, Discovery, DiscoveryPlan
from producers.redfish.documents import JsonObject, last_segment
from producers.redfish.fetch import FetchedResource, ResourceFetcher
from producers.redfish.http.client import Clock, RedfishClient
from producers.redfish.http.errors import RedfishError, Unauthorized, Unreachable
from producers.redfish.http.negative_cache import NegativeCacheClient
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import RedfishRecord, ResourceTable, map_array, map_object
from producers.redfish.source_selection import READING_KINDS
from producers.redfish.system_resources import CATEGORY_READERS

CATEGORIES: Final[Mapping[str, tuple[ResourceTable[RedfishRecord], ...]]] = {
    "system": (tables.SYSTEM,),
    **{
        category: tuple(table for kind in kinds for table in SOURCES[kind].values())
        for category, kinds in READING_KINDS.items()
    },
    "processor": (tables.PROCESSOR,),
    "memory": (tables.DIMM,),
    "network": (tables.NETWORK_INTERFACE,),
    "storage": (tables.STORAGE_CONTROLLER, tables.DRIVE),
}
"""Category → tables of its resources."""
RECORD_ARRAYS: Final[Mapping[str, tuple[str, ...]]] = {
    category: tuple(dict.fromkeys(table.record_field for table in category_tables))
    for category, category_tables in CATEGORIES.items()
}
"""Category → arrays of `RedfishSample` that it fills."""
MAIN_CATEGORIES: Final = ("system", "thermal", "power")
"""Categories that every server has: without their resources a target is partial."""

RecordArrays = dict[str, list[RedfishRecord]]
"""Array of `RedfishSample` → its records."""


class RedfishReader:
    """Reader of one BMC; implements `producers.reader.Reader`. Categories may be polled concurrently."""

    source = "redfish"

    def __init__(
        self,
        host: str,
        client: RedfishClient,
        *,
        labels: Mapping[str, str],
        intervals: Mapping[str, float],
        clock: Clock = time.monotonic,
    ) -> None:
        self.host = host
        self.address = client.base_url
        self.labels = labels
        self.intervals = intervals
        self._clock = clock
        self._raw_client = client
        self._client = NegativeCacheClient(client, clock)
        self._discovery = Discovery(self._client, clock)
        self._discovery_lock = threading.Lock()
        self._plan = DiscoveryPlan(valid_until_s=float("-inf"))

    def read(self, category: str, timeout_s: float) -> Sample:
        """Polls one category within `timeout_s` seconds; the arrays of the other categories are empty.

        Raises:
            PollFailed: The BMC does not respond, or refuses the credentials.
        """
        deadline_s = self._clock() + timeout_s
        problems = Problems()
        try:
            plan = self._current_plan(deadline_s)
            arrays = self._read_category(category, plan, deadline_s, problems)
        except RedfishError as error:
            raise self._poll_failed(error) from None
        if category in CHASSIS_LINKS:
            problems.merge(plan.problems)
        return Sample({"address": self.address, **arrays}, problems)

    def discover(self, timeout_s: float) -> JsonObject:
        """Discovers the BMC again, regardless of earlier failures, and returns its service root.

        Raises:
            PollFailed: The BMC does not respond, refuses the credentials, or is no Redfish service.
        """
        self._plan.valid_until_s = float("-inf")
        self._discovery.invalidate()
        self._client.clear()
        try:
            self._current_plan(self._clock() + timeout_s)
        except RedfishError as error:
            raise self._poll_failed(error) from None
        return self.root

    @property
    def root(self) -> JsonObject:
        """Service root as last read; empty before the first poll."""
        return self._discovery.root

    @property
    def chassis_systems(self) -> Mapping[str, tuple[str, ...]]:
        """`chassis_id` of the records → `system_id`s of the Systems in it; empty before the first poll."""
        return {chassis.resource_id: chassis.system_ids for chassis in self._plan.chassis}

    @property
    def system_ids(self) -> tuple[str, ...]:
        """`system_id`s of the Systems that the BMC lists; empty before the first poll."""
        return tuple(system.resource_id for system in self._plan.systems)

    def facts(self) -> TargetFacts:
        """Returns request counts, session and identity of the BMC, as far as known."""
        return TargetFacts(
            requests=self._raw_client.requests,
            request_s=self._raw_client.request_s,
            session_uri=self._raw_client.session_uri,
            vendor=self._discovery.first_text("Vendor", "Manufacturer"),
            model=self._discovery.first_text("Model", "Product"),
            firmware=self._discovery.firmware,
        )

    def abort(self) -> None:
        """Aborts polls in progress; no further requests are sent."""
        self._raw_client.aborted = True

    def close(self) -> None:
        """Deletes the session and closes the connections."""
        self._raw_client.close()

    def _poll_failed(self, error: RedfishError) -> PollFailed:
        status = "auth_failed" if isinstance(error, Unauthorized) else "unreachable"
        return PollFailed(status, f"{self.address}: {error}")

    def _current_plan(self, deadline_s: float) -> DiscoveryPlan:
        """Returns the plan; one thread discovers while the others wait."""
        if not self._discovery_lock.acquire(timeout=max(0.0, deadline_s - self._clock())):
            raise Unreachable("still being discovered")
        try:
            if self._clock() >= self._plan.valid_until_s:
                self._plan = self._discovery.run(deadline_s)
            return self._plan
        finally:
            self._discovery_lock.release()

    def _read_category(self, category: str, plan: DiscoveryPlan, deadline_s: float, problems: Problems) -> RecordArrays:
        """Returns the records of a category, each reading once."""
        arrays: RecordArrays = {name: [] for names in RECORD_ARRAYS.values() for name in names}
        if category in MAIN_CATEGORIES and not _has_links(plan, category):
            if category == "system" or not plan.problems.counts:  # else the plan's problems are the cause
                problems.add(category, "the BMC links no such resource", whole=category != "system")
            return arrays
        fetcher = ResourceFetcher(self._client, plan.cache, self._clock(), deadline_s, problems)
        resources = list(CATEGORY_READERS[category](fetcher, plan))
        if not fetcher.fetched and not fetcher.errors:  # nothing to read, but the poll has to test the connection
            fetcher.get_all([resource.uri for resource in (*plan.systems, *plan.chassis)][:1])
        self._evaluate_errors(plan, fetcher)
        dedup = ReadingDedup(problems)
        for resource in resources:
            for table in resource.tables:
                arrays[table.record_field] += dedup.new_records(table, resource, _map(table, resource, problems))
        if not resources and not fetcher.errors:
            problems.add(category, "the BMC lists none")
        return arrays

    def _evaluate_errors(self, plan: DiscoveryPlan, fetcher: ResourceFetcher) -> None:
        """Schedules a new discovery if nothing could be read; raises errors that concern the BMC as a whole."""
        is_empty = not fetcher.fetched
        if plan.outdated or (is_empty and any(error.fresh for error in fetcher.errors)):
            plan.valid_until_s = float("-inf")
            self._discovery.invalidate()
        for error in fetcher.errors:
            if isinstance(error, Unauthorized) or (is_empty and isinstance(error, Unreachable)):
                raise error


def _has_links(plan: DiscoveryPlan, category: str) -> bool:
    if category == "system":
        return bool(plan.systems)
    return any(name in chassis.links for chassis in plan.chassis for name in CHASSIS_LINKS[category])


def _map(table: ResourceTable[RedfishRecord], resource: FetchedResource, problems: Problems) -> Iterable[RedfishRecord]:
    if table.property_path:
        return list(map_array(table, resource.document, problems))
    return [map_object(table, resource.document, problems, default_id=last_segment(resource.uri))]
