"""One reading once: records of a source that a poll has told already are left out. No I/O.

A source is known by its URI, and by its place in its array. A BMC that lists a part under two URIs, as GB200 does with
the CPUs that two Systems share, has told of it twice, each time with a state of its own: both are records, and their
`odata_id` says whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from producers.reader import Problems
from producers.redfish.fetch import Found
from producers.redfish.http.negative_cache import key_of
from producers.redfish.mapping.table import Table

Key = tuple[str | None, ...]


class Once:
    """One poll's memory of what it told."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._seen: set[Key] = set()

    def records(self, table: Table, found: Found, bare: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records of a document with their place, without those told already."""
        for each in bare:
            record = {**each, **found.place}
            keys = {(table.record, *found.place.values(), record[table.identity])}
            uri = key_of(record["odata_id"] or "")
            # Some BMCs give each entry of an array the URI of its resource.
            if uri and not (table.each and uri == key_of(found.uri)):
                keys.add(("uri", uri))
            if keys & self._seen:
                self._problems.add(table.record, "given twice, taken once")
            else:
                yield record
            self._seen |= keys
