"""One reading once: records of a source that a poll has told already are left out. No I/O.

The same source is known by its URI, by its place in its array, and, of parts that two Systems of one BMC list, by its
serial number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from producers.reader import Problems
from producers.redfish.fields import Table, text
from producers.redfish.http.patience import key_of
from producers.redfish.walk import Found

SHARED: Final = frozenset({"processors", "dimms"})
"""Arrays in which several Systems may list one part (GB200: the host's CPUs and their memory)."""
SERIAL_LENGTH: Final = 6
SERIAL_VARIETY: Final = 4
"""Serial numbers with less are fillers: 0, N/A, 00000000, 12341234."""

Key = tuple[str | None, ...]


class Once:
    """One poll's memory of what it told."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._seen: set[Key] = set()
        self._serials: dict[Key, str | None] = {}

    def records(self, table: Table, found: Found, bare: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records of a document with their place, without those told already."""
        for each in bare:
            record = {**each, **found.place}
            keys = {(table.record, *found.place.values(), record[table.identity])}
            uri = key_of(record["odata_id"] or "")
            # Some BMCs give each entry of an array the URI of its resource.
            if uri and not (table.each and uri == key_of(found.uri)):
                keys.add(("uri", uri))
            if keys & self._seen or (table.record in SHARED and self._elsewhere(table, found)):
                self._problems.add(table.record, "given twice, taken once")
            else:
                yield record
            self._seen |= keys

    def _elsewhere(self, table: Table, found: Found) -> bool:
        """Whether another System has listed this part."""
        serial = text(found.document.get("SerialNumber")) or ""
        if len(serial) < SERIAL_LENGTH or len(set(serial)) < SERIAL_VARIETY or not any(map(str.isdigit, serial)):
            return False
        system = found.place.get("system_id")
        return self._serials.setdefault((table.record, serial), system) != system
