r"""Line protocol: converts rows to lines of bytes. Pure.

Syntax: https://docs.influxdata.com/influxdb3/core/reference/line-protocol/ . What it cannot represent is made harmless:

* a newline, carriage return or tab in a tag becomes the two characters `\n`, `\r`, `\t`: a real one would end the line;
* a backslash at the end of a tag or key is left out, as it would escape the separator after it; one before a character
  that is escaped itself is doubled, so that both readings of `\\` (1.8: two characters, 3: one) leave the escape whole;
* NaN and infinity have no representation: such a field is left out, and a row without fields has no line.

Timestamps are nanoseconds since 1970, computed with integers. Columns of type timestamp are integers of the same unit.
Doubles are the shortest decimals that read back as the same double; orjson writes them, in a twentieth of the time of
`repr`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from orjson import dumps

from sinks.rows import ColumnType, Dataset, DatasetColumn, Row, Value

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CACHE_SIZE: Final = 1 << 16
"""Cached identities of each dataset, and cached tags."""
TAG_ESCAPES: Final = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\=", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
MEASUREMENT_ESCAPES: Final = str.maketrans({",": r"\,", " ": r"\ ", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
TEXT_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\""})
BEFORE_ESCAPE: Final = re.compile(r"\\+(?=[,= ])")


@lru_cache(maxsize=CACHE_SIZE)
def tag(text: str) -> str:
    """Returns the key or value of a tag, escaped; empty if nothing of it can be represented."""
    text = text.replace("\0", "").rstrip("\\")
    if "\\" in text:
        text = BEFORE_ESCAPE.sub(lambda match: match[0] * 2, text)
    return text.translate(TAG_ESCAPES)


def measurement(name: str) -> str:
    """Returns the name of a measurement, escaped."""
    return name.rstrip("\\").translate(MEASUREMENT_ESCAPES)


def timestamp_ns(time: datetime) -> int:
    """Returns nanoseconds since 1970. Exact: a float would be off by hundreds."""
    since_epoch = time - UNIX_EPOCH
    return ((since_epoch.days * 86400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds) * 1000


NULL: Final = b"null"
"""Representation of None, NaN and infinity in JSON."""
VALUE_ENCODERS: Final[dict[ColumnType, Callable[[Value], bytes]]] = {
    "long": lambda value: b"%di" % value,
    "double": dumps,
    "boolean": lambda value: b"true" if value else b"false",
    "timestamp": lambda value: b"%di" % timestamp_ns(value),
    # A newline within the quotes is part of the value, on 1.8, 2 and 3.
    "string": lambda value: f'"{value.translate(TEXT_ESCAPES)}"'.encode(),
}
"""Column type → function that returns the bytes of a value; NULL for values without a representation."""


class _Heads(dict[Row, bytes]):
    """Cache of measurement and tags by the values of the tags, which repeat at every poll."""

    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        super().__init__()
        self._name, self._keys = name, keys

    def __missing__(self, values: Row) -> bytes:
        if len(self) >= CACHE_SIZE:
            self.clear()
        pairs = ((key, tag(str(value))) for key, value in zip(self._keys, values, strict=True) if value is not None)
        text = self._name + "".join(f",{key}={value}" for key, value in pairs if value)
        head = self[values] = text.encode()
        return head


def label_tags(labels: dict[str, str]) -> bytes:
    """Returns `,label_<key>=<value>` for each label with a value."""
    pairs = ((tag(f"label_{key}"), tag(value)) for key, value in sorted(labels.items()))
    return "".join(f",{key}={value}" for key, value in pairs if value).encode()


class FieldEncoder:
    """Encodes the fields of one kind of row."""

    def __init__(self, columns: list[tuple[int, DatasetColumn]]) -> None:
        """`columns`: index in the row, and column."""
        self._columns = [
            (index, f"{column.name}=".encode(), VALUE_ENCODERS[column.type], column.zero_if_unknown)
            for index, column in columns
        ]
        indices = [index for index, _ in columns]
        types = {column.type for _, column in columns}
        # Adjacent numbers are encoded by one call, which makes the lines of VMs cheap.
        is_numeric_span = bool(indices) and types <= {"long", "double"}
        is_numeric_span = is_numeric_span and indices == list(range(indices[0], indices[-1] + 1))
        self._span = slice(indices[0], indices[-1] + 1) if is_numeric_span else None
        self.template = ",".join(
            f"{column.name}=%b{'i' if column.type == 'long' else ''}" for _, column in columns
        ).encode()

    def __call__(self, row: Row) -> bytes:
        """Returns `name=value,…`; empty if no column has a value."""
        if self._span is not None:
            values = dumps(row[self._span])
            if NULL not in values:
                return self.template % tuple(values[1:-1].split(b","))
        return self._encode_separately(row)

    def _encode_separately(self, row: Row) -> bytes:
        fields = []
        for index, name, encode, zero_if_unknown in self._columns:
            value = row[index]
            text = (b"0i" if zero_if_unknown else NULL) if value is None else encode(value)
            if text != NULL:
                fields.append(name + text)
        return b",".join(fields)


class LineEncoder:
    """Encodes the rows of one dataset. Not thread-safe."""

    def __init__(self, dataset: Dataset) -> None:
        self._heads = _Heads(measurement(dataset.name), tuple(tag(column.name) for column in dataset.tags))
        self._tags_end = 1 + len(dataset.tags)
        self._kind_index = dataset.names.index(dataset.kind_column) if dataset.kind_column else 0
        self._stale_index = dataset.names.index("stale") if "stale" in dataset.names else None
        columns = [
            (index, column)
            for index, column in enumerate(dataset.columns, start=1)
            if column.in_lines and not column.is_tag
        ]
        self._fields = FieldEncoder(columns)
        self._fields_by_kind = {
            kind: FieldEncoder([(index, column) for index, column in columns if column.row_kind in (None, kind)])
            for kind in {column.row_kind for _, column in columns if column.row_kind}
        }
        self._time: datetime | None = None
        self._line_end = b""
        self._labels: dict[str, str] = {}
        self._label_tags = b""

    def head(self, tags: Row) -> bytes:
        """Returns the measurement with its tags, without labels."""
        return self._heads[tags]

    def __call__(self, row: Row) -> bytes:
        """Returns the line of one row without newline; empty if the row is stale or no field has a value."""
        if self._stale_index is not None and row[self._stale_index]:
            return b""
        if row[0] is not self._time:  # rows of one record share the object
            self._time, self._line_end = row[0], b" %d" % timestamp_ns(row[0])
        if row[-1] is not self._labels:
            self._labels, self._label_tags = row[-1], label_tags(row[-1])
        encode = self._fields
        if self._fields_by_kind:
            encode = self._fields_by_kind.get(row[self._kind_index], encode)
        fields = encode(row)
        if not fields:
            return b""
        return b"".join((self._heads[row[1 : self._tags_end]], self._label_tags, b" ", fields, self._line_end))
