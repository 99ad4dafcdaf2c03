"""Lines of a record's innermost items, without the rows between: what makes the VM lines cheap. Pure.

A row is as wide as its dataset, and is built for files. Where all fields of a line are numbers of one item (a NIC's, a
VM's), they are read from it and formatted at once; what the items have in common is read once. The bytes are those
that `Encoder` writes of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

from sinks.line import MOST, Encoder, Fields, label_tags, timestamp_ns
from sinks.rows import Dataset, Part, Record, Row, reader

NUMBERS: Final = ("long", "double")


class Leaves:
    """Writes the lines of one part of a dataset that `fits`. Not for use by two threads at once."""

    def __init__(self, dataset: Dataset, part: Part, encoder: Encoder) -> None:
        sources = dict(zip(dataset.names, part.sources, strict=True))
        depth = len(part.path)
        tags = [(name, *sources[name]) for name in (column.name for column in dataset.tags)]
        by_depth = [[name for name, at, _ in tags if at == level] for level in range(depth + 1)]
        self._shared = [reader(tuple(sources[name][1] for name in names)) for names in by_depth]
        order = [name for names in by_depth for name in names]
        self._arrange = [order.index(name) for name, _, _ in tags]
        columns = _columns(dataset, part)
        self._values = reader(tuple(sources[column.name][1] for column in columns))
        self._fields = Fields(list(enumerate(columns)))
        self._stale = sources["stale"][0] if "stale" in sources else None
        self._path, self._head = part.path, encoder.head
        self._heads: dict[tuple[Row, Row], str] = {}

    def __call__(self, record: Record) -> list[bytes]:
        """The lines of one record, without newline."""
        made: list[bytes] = []
        end = f" {timestamp_ns(record['observed_at'])}"
        labels = f"{label_tags(record.get('labels', {}))} "
        tags_of, values_of, fields_of, heads = self._shared[-1], self._values, self._fields, self._heads
        template, finite, stale = self._fields.template, self._fields.finite, self._stale == len(self._path)
        for shared, items in self._items(record):
            for item in items:
                if stale and item["stale"]:
                    continue
                values = values_of(item)
                whole = None not in values and (finite or isfinite(sum(values)))
                fields = template % values if whole else fields_of(values)
                if fields:
                    key = (shared, tags_of(item))
                    head = heads.get(key) or self._learn(key)
                    made.append(f"{head}{labels}{fields}{end}".encode())
        return made

    def _items(self, record: Record) -> Iterator[tuple[Row, list[Record]]]:
        """The tags that some items share, and those items."""
        outer = self._shared[0](record)
        if len(self._path) == 1:
            yield outer, record[self._path[0]]
            return
        for item in record[self._path[0]]:
            if not (self._stale == 1 and item["stale"]):
                yield outer + self._shared[1](item), item[self._path[1]]

    def _learn(self, key: tuple[Row, Row]) -> str:
        if len(self._heads) >= MOST:
            self._heads.clear()
        tags = key[0] + key[1]
        found = self._heads[key] = self._head(tuple(tags[at] for at in self._arrange))
        return found


def _columns(dataset: Dataset, part: Part) -> list[Any]:
    """The columns that the lines of a part have."""
    devtype = part.sources[dataset.names.index(dataset.kind)][1] if dataset.kind else None
    # One array of items of a kind each says its kind by a constant, which asks for no item.
    kind = devtype({}) if callable(devtype) else None
    return [each for each in dataset.columns if each.in_lines and not each.tag and each.kind in (None, kind)]


def fits(dataset: Dataset, part: Part) -> bool:
    """Whether the lines of a part are made of numbers of its innermost items alone, at the record's time."""
    sources = dict(zip(dataset.names, part.sources, strict=True))
    if not part.path or sources["time"] != (0, "observed_at"):
        return False
    if dataset.kind and not callable(sources[dataset.kind][1]):
        return False  # each item says its own kind
    return all(
        each.type in NUMBERS and sources[each.name][0] == len(part.path) and isinstance(sources[each.name][1], str)
        for each in _columns(dataset, part)
    )
