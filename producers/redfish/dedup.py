"""Drops duplicate readings within one poll. No I/O.

Readings are identified by their URI and by their position in their array. A BMC that lists a part under two URIs, like
GB200 with CPUs that two Systems share, reports a state for each: both records are kept, with different `odata_id`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from producers.reader import Problems
from producers.redfish.documents import uri_key
from producers.redfish.fetch import FetchedResource
from producers.redfish.mapping.table import RedfishRecord, ResourceTable

ReadingKey = tuple[object, ...]


class ReadingDedup:
    """Readings seen in one poll."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._seen: set[ReadingKey] = set()

    def new_records(
        self, table: ResourceTable[RedfishRecord], resource: FetchedResource, records: Iterable[RedfishRecord]
    ) -> Iterator[RedfishRecord]:
        """Yields the records of a resource with the ids of its owners, without those seen before."""
        for mapped in records:
            record = {**cast("Mapping[str, object]", mapped), **resource.owner_ids}
            keys: set[ReadingKey] = {(table.record_field, *resource.owner_ids.values(), record[table.id_field])}
            uri = uri_key(mapped["odata_id"] or "")
            # Some BMCs give all entries of an array the URI of the resource.
            if uri and not (table.property_path and uri == uri_key(resource.uri)):
                keys.add(("uri", uri))
            if keys & self._seen:
                self._problems.add(table.record_field, "duplicate ignored")
            else:
                yield cast("RedfishRecord", record)
            self._seen |= keys
