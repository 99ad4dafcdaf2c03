"""Line protocol of a record's innermost items, without building rows, which makes the lines of VMs cheap. Pure.

A row is as wide as its dataset, and made for files. If all fields of a line are numbers of one item (a NIC, a VM), they
are read from it directly, values that items share are read once, and all lines of a record are formatted at once. The
bytes are the same that `LineEncoder` returns for the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final

from orjson import dumps

from sinks.influx.line_protocol import CACHE_SIZE, NULL, FieldEncoder, LineEncoder, label_tags, timestamp_ns
from sinks.rows import Dataset, DatasetColumn, Row, RowSource, value_reader
from sinks.sink import AnyRecord

NUMBERS: Final = ("long", "double")


class _Heads(dict[tuple[Row, Row], bytes]):
    """Cache of measurement and tags by the tags that items share and those of one item, escaped for `%`."""

    def __init__(self, head: Callable[[Row], bytes], order: Sequence[int]) -> None:
        super().__init__()
        self._head, self._order = head, order

    def __missing__(self, key: tuple[Row, Row]) -> bytes:
        if len(self) >= CACHE_SIZE:
            self.clear()
        tags = key[0] + key[1]
        head = self[key] = self._head(tuple(tags[index] for index in self._order)).replace(b"%", b"%%")
        return head


class FastLineWriter:
    """Writes the lines of one part of a dataset for which `is_supported` is true. Not thread-safe."""

    def __init__(self, dataset: Dataset, part: RowSource, encoder: LineEncoder) -> None:
        sources = dict(zip(dataset.names, part.sources, strict=True))
        depth = len(part.path)
        tags = [(name, *sources[name]) for name in (column.name for column in dataset.tags)]
        by_depth = [[name for name, tag_depth, _ in tags if tag_depth == level] for level in range(depth + 1)]
        self._tags = [value_reader(tuple(sources[name][1] for name in names)) for names in by_depth]
        order = [name for names in by_depth for name in names]
        columns = _columns(dataset, part)
        self._values = value_reader(tuple(sources[column.name][1] for column in columns))
        self._fields = FieldEncoder(list(enumerate(columns)))
        self._zero_if_unknown = all(column.zero_if_unknown for column in columns)
        self._stale_depth = sources["stale"][0] if "stale" in sources else None
        self._path = part.path
        self._heads = _Heads(encoder.head, [order.index(name) for name, _, _ in tags])

    def __call__(self, record: AnyRecord) -> list[bytes]:
        """Returns the lines of one record, without newlines."""
        items: list[AnyRecord] = []
        heads: list[bytes] = []
        for shared_tags, group in self._groups(record):
            items += group
            heads += map(self._heads.__getitem__, zip(repeat(shared_tags), map(self._tags[-1], group), strict=False))
        if not items:
            return []
        labels = label_tags(record.get("labels", {})).replace(b"%", b"%%") + b" "
        end = b" %d" % timestamp_ns(record["observed_at"])
        values = dumps(list(chain.from_iterable(map(self._values, items))))
        if self._zero_if_unknown:
            values = values.replace(NULL, b"0")
        if NULL in values:
            fields_of_items = map(self._fields, map(self._values, items))
            return [
                b"".join((head % (), labels % (), fields, end))
                for head, fields in zip(heads, fields_of_items, strict=True)
                if fields
            ]
        line = labels + self._fields.template + end
        pattern = (line + b"\n").join(heads) + line  # no line contains a newline: tags have none, nor have numbers
        return (pattern % tuple(values[1:-1].split(b","))).split(b"\n")

    def _groups(self, record: AnyRecord) -> Iterator[tuple[Row, list[AnyRecord]]]:
        """Yields items together with the tags that they share."""
        outer_tags = self._tags[0](record)
        items = record[self._path[0]]
        if self._stale_depth == 1:
            items = [item for item in items if not item["stale"]]
        if len(self._path) == 1:
            yield outer_tags, items
            return
        for item in items:
            yield outer_tags + self._tags[1](item), item[self._path[1]]


def _columns(dataset: Dataset, part: RowSource) -> list[DatasetColumn]:
    """Returns the columns that the lines of a part have."""
    devtype = part.sources[dataset.names.index(dataset.kind_column)][1] if dataset.kind_column else None
    # If each kind of item has its own array, the kind is a constant, which does not read the item.
    kind = devtype({}) if callable(devtype) else None
    return [
        column
        for column in dataset.columns
        if column.in_lines and not column.is_tag and column.row_kind in (None, kind)
    ]


def is_supported(dataset: Dataset, part: RowSource) -> bool:
    """True if the lines of a part consist of numbers of its innermost items alone, at the record's time."""
    sources = dict(zip(dataset.names, part.sources, strict=True))
    if not part.path or sources["time"] != (0, "observed_at"):
        return False
    if dataset.kind_column and not callable(sources[dataset.kind_column][1]):
        return False  # the kind differs from item to item
    if sources.get("stale", (1,))[0] != 1:
        return False
    columns = _columns(dataset, part)
    return bool(columns) and all(
        column.type in NUMBERS
        and sources[column.name][0] == len(part.path)
        and isinstance(sources[column.name][1], str)
        for column in columns
    )
