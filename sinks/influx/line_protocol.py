r"""Line protocol: rows to lines of bytes. Pure.

Syntax: https://docs.influxdata.com/influxdb3/core/reference/line-protocol/ . What it cannot say is kept harmless:

* a newline, carriage return or tab in a tag becomes the two characters `\n`, `\r`, `\t`: a real one would end the line;
* a backslash at the end of a tag or key is left out: it would escape the separator after it; one before a character
  that is escaped itself is doubled, so that both readings of `\\` (1.8: two characters, 3: one) leave the escape whole;
* NaN and infinity are no values there: such a field is left out, and a row without fields has no line.

Timestamps are nanoseconds since 1970, computed in integers. Columns of type timestamp are integers of the same unit.
Doubles are the shortest decimals that read back as the same double. orjson writes them: a twentieth of `repr`'s time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from orjson import dumps

from sinks.rows import Column, Dataset, Row, Type

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST: Final = 1 << 16
"""Identities of each dataset, and texts, that are kept."""
SAFE_TAG: Final = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\=", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
SAFE_NAME: Final = str.maketrans({",": r"\,", " ": r"\ ", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
BEFORE_ESCAPE: Final = re.compile(r"\\+(?=[,= ])")
SAFE_TEXT: Final = str.maketrans({"\\": r"\\", '"': r"\""})


@lru_cache(maxsize=MOST)
def tag(text: str) -> str:
    """A tag's key or value; empty where nothing can be written."""
    text = text.replace("\0", "").rstrip("\\")
    if "\\" in text:
        text = BEFORE_ESCAPE.sub(lambda found: found[0] * 2, text)
    return text.translate(SAFE_TAG)


def measurement(name: str) -> str:
    """A measurement's name."""
    return name.rstrip("\\").translate(SAFE_NAME)


def timestamp_ns(time: datetime) -> int:
    """Nanoseconds since 1970. Exact: a float of them is off by hundreds."""
    since = time - EPOCH
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


NULL: Final = b"null"
"""What JSON has for None, NaN and infinity."""
VALUES: Final[dict[Type, Callable[[Any], bytes]]] = {
    "long": lambda value: b"%di" % value,
    "double": dumps,
    "boolean": lambda value: b"true" if value else b"false",
    "timestamp": lambda value: b"%di" % timestamp_ns(value),
    # A newline within the quotes is part of the value, on 1.8, 2 and 3.
    "string": lambda value: f'"{value.translate(SAFE_TEXT)}"'.encode(),
}
"""The bytes of a value; NULL where it has none."""


class _Heads(dict[Row, bytes]):
    """The measurement, and `,key=value` of each tag that has a value; kept, for they come again at every poll."""

    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        super().__init__()
        self._name, self._keys = name, keys

    def __missing__(self, values: Row) -> bytes:
        if len(self) >= MOST:
            self.clear()
        pairs = ((key, tag(str(value))) for key, value in zip(self._keys, values, strict=True) if value is not None)
        text = self._name + "".join(f",{key}={value}" for key, value in pairs if value)
        found = self[values] = text.encode()
        return found


def label_tags(labels: dict[str, str]) -> bytes:
    """`,label_<key>=<value>` of each label that has a value."""
    pairs = ((tag(f"label_{key}"), tag(value)) for key, value in sorted(labels.items()))
    return "".join(f",{key}={value}" for key, value in pairs if value).encode()


class Fields:
    """The field part of one kind of row: the columns between `first` and `end` of the row, all of this kind."""

    def __init__(self, columns: list[tuple[int, Column]]) -> None:
        self._columns = [(at, f"{column.name}=".encode(), VALUES[column.type], column.zero) for at, column in columns]
        places = [at for at, _ in columns]
        kinds = {column.type for _, column in columns}
        # Neighbouring numbers become text in one call, which is what makes the VM lines cheap.
        numbers = bool(places) and kinds <= {"long", "double"} and places == list(range(places[0], places[-1] + 1))
        self._span = slice(places[0], places[-1] + 1) if numbers else None
        self.template = ",".join(
            f"{column.name}=%b{'i' if column.type == 'long' else ''}" for _, column in columns
        ).encode()

    def __call__(self, row: Row) -> bytes:
        """`name=value,…`; empty where no column has a value."""
        if self._span is not None:
            values = dumps(row[self._span])
            if NULL not in values:
                return self.template % tuple(values[1:-1].split(b","))
        return self._one_by_one(row)

    def _one_by_one(self, row: Row) -> bytes:
        parts = []
        for at, name, write, zero in self._columns:
            value = row[at]
            text = (b"0i" if zero else NULL) if value is None else write(value)
            if text != NULL:
                parts.append(name + text)
        return b",".join(parts)


class Encoder:
    """Writes the rows of one dataset. Not for use by two threads at once."""

    def __init__(self, dataset: Dataset) -> None:
        self._heads = _Heads(measurement(dataset.name), tuple(tag(column.name) for column in dataset.tags))
        self._end = 1 + len(dataset.tags)
        self._kind = dataset.names.index(dataset.kind) if dataset.kind else 0
        self._stale = dataset.names.index("stale") if "stale" in dataset.names else None
        columns = [
            (at, column) for at, column in enumerate(dataset.columns, start=1) if column.in_lines and not column.tag
        ]
        self._all = Fields(columns)
        self._kinds = {
            kind: Fields([(at, column) for at, column in columns if column.kind in (None, kind)])
            for kind in {column.kind for _, column in columns if column.kind}
        }
        self._time: datetime | None = None
        self._end_of_line = b""
        self._labels: dict[str, str] = {}
        self._label_tags = b""

    def head(self, tags: Row) -> bytes:
        """The measurement with its tags, without labels."""
        return self._heads[tags]

    def __call__(self, row: Row) -> bytes:
        """The line of one row, without newline; empty where it has none: no field has a value, or it is stale."""
        if self._stale is not None and row[self._stale]:
            return b""
        if row[0] is not self._time:  # rows of one record share the object
            self._time, self._end_of_line = row[0], b" %d" % timestamp_ns(row[0])
        if row[-1] is not self._labels:
            self._labels, self._label_tags = row[-1], label_tags(row[-1])
        fields = (self._kinds.get(row[self._kind], self._all) if self._kinds else self._all)(row)
        if not fields:
            return b""
        return b"".join((self._heads[row[1 : self._end]], self._label_tags, b" ", fields, self._end_of_line))
