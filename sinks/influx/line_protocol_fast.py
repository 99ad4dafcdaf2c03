"""Lines of a record's innermost items, without the rows between: what makes the VM lines cheap. Pure.

A row is as wide as its dataset, and is built for files. Where all fields of a line are numbers of one item (a NIC's, a
VM's), they are read from it, what the items have in common is read once, and all lines of a record are formatted at
once. The bytes are those that `Encoder` writes of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final

from orjson import dumps

from sinks.influx.line_protocol import MOST, NULL, Encoder, Fields, label_tags, timestamp_ns
from sinks.rows import Column, Dataset, Part, Record, Row, reader

NUMBERS: Final = ("long", "double")


class _Heads(dict[tuple[Row, Row], bytes]):
    """Measurement and tags by the tags that items share and those of one item, ready for `%`; kept, as in `line`."""

    def __init__(self, head: Callable[[Row], bytes], arrange: Sequence[int]) -> None:
        super().__init__()
        self._head, self._arrange = head, arrange

    def __missing__(self, key: tuple[Row, Row]) -> bytes:
        if len(self) >= MOST:
            self.clear()
        tags = key[0] + key[1]
        found = self[key] = self._head(tuple(tags[at] for at in self._arrange)).replace(b"%", b"%%")
        return found


class Leaves:
    """Writes the lines of one part of a dataset that `fits`. Not for use by two threads at once."""

    def __init__(self, dataset: Dataset, part: Part, encoder: Encoder) -> None:
        sources = dict(zip(dataset.names, part.sources, strict=True))
        depth = len(part.path)
        tags = [(name, *sources[name]) for name in (column.name for column in dataset.tags)]
        by_depth = [[name for name, at, _ in tags if at == level] for level in range(depth + 1)]
        self._tags = [reader(tuple(sources[name][1] for name in names)) for names in by_depth]
        order = [name for names in by_depth for name in names]
        columns = _columns(dataset, part)
        self._values = reader(tuple(sources[column.name][1] for column in columns))
        self._fields = Fields(list(enumerate(columns)))
        self._zero = all(column.zero for column in columns)
        self._stale = sources["stale"][0] if "stale" in sources else None
        self._path = part.path
        self._heads = _Heads(encoder.head, [order.index(name) for name, _, _ in tags])

    def __call__(self, record: Record) -> list[bytes]:
        """The lines of one record, without newline."""
        items: list[Record] = []
        heads: list[bytes] = []
        for shared, found in self._items(record):
            items += found
            heads += map(self._heads.__getitem__, zip(repeat(shared), map(self._tags[-1], found), strict=False))
        if not items:
            return []
        labels = label_tags(record.get("labels", {})).replace(b"%", b"%%") + b" "
        end = b" %d" % timestamp_ns(record["observed_at"])
        values = dumps(list(chain.from_iterable(map(self._values, items))))
        if self._zero:
            values = values.replace(NULL, b"0")
        if NULL in values:
            fields = map(self._fields, map(self._values, items))
            return [
                b"".join((head % (), labels % (), own, end)) for head, own in zip(heads, fields, strict=True) if own
            ]
        line = labels + self._fields.template + end
        pattern = (line + b"\n").join(heads) + line  # no line has a newline of its own: tags have none, numbers neither
        return (pattern % tuple(values[1:-1].split(b","))).split(b"\n")

    def _items(self, record: Record) -> Iterator[tuple[Row, list[Record]]]:
        """The tags that some items share, and those items."""
        outer = self._tags[0](record)
        path, stale = self._path, self._stale
        items = record[path[0]]
        if stale == 1:
            items = [item for item in items if not item["stale"]]
        if len(path) == 1:
            yield outer, items
            return
        for item in items:
            yield outer + self._tags[1](item), item[path[1]]


def _columns(dataset: Dataset, part: Part) -> list[Column]:
    """The columns that the lines of a part have."""
    devtype = part.sources[dataset.names.index(dataset.kind)][1] if dataset.kind else None
    # One array of items of a kind each says its kind by a constant, which asks for no item.
    kind = devtype({}) if callable(devtype) else None
    return [column for column in dataset.columns if column.in_lines and not column.tag and column.kind in (None, kind)]


def fits(dataset: Dataset, part: Part) -> bool:
    """Whether the lines of a part are made of numbers of its innermost items alone, at the record's time."""
    sources = dict(zip(dataset.names, part.sources, strict=True))
    if not part.path or sources["time"] != (0, "observed_at"):
        return False
    if dataset.kind and not callable(sources[dataset.kind][1]):
        return False  # each item says its own kind
    if sources.get("stale", (1,))[0] != 1:
        return False
    columns = _columns(dataset, part)
    return bool(columns) and all(
        column.type in NUMBERS
        and sources[column.name][0] == len(part.path)
        and isinstance(sources[column.name][1], str)
        for column in columns
    )
