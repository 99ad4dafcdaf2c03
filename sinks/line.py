r"""Line protocol: rows to lines of bytes. Pure.

Syntax: https://docs.influxdata.com/influxdb3/core/reference/line-protocol/ . What it cannot say is kept harmless:

* a newline, carriage return or tab in a tag becomes the two characters `\n`, `\r`, `\t`: a real one would end the line;
* a backslash at the end of a tag or key is left out: it would escape the separator after it; one before a character
  that is escaped itself is doubled, so that both readings of `\\` (1.8: two characters, 3: one) leave the escape whole;
* NaN and infinity are no values there: such a field is left out, and a row without fields has no line.

Timestamps are nanoseconds since 1970, computed in integers. Columns of type timestamp are integers of the same unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final

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


def _double(value: float) -> str | None:
    return repr(value) if isfinite(value) else None


VALUES: Final[dict[Type, Callable[[Any], str | None]]] = {
    "long": lambda value: f"{value}i",
    "double": _double,
    "boolean": lambda value: "true" if value else "false",
    "timestamp": lambda value: f"{timestamp_ns(value)}i",
    # A newline within the quotes is part of the value, on 1.8, 2 and 3.
    "string": lambda value: f'"{value.translate(SAFE_TEXT)}"',
}


class _Heads(dict[Row, str]):
    """The measurement, and `,key=value` of each tag that has a value; kept, for they come again at every poll."""

    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        super().__init__()
        self._name, self._keys = name, keys

    def __missing__(self, values: Row) -> str:
        if len(self) >= MOST:
            self.clear()
        pairs = ((key, tag(str(value))) for key, value in zip(self._keys, values, strict=True) if value is not None)
        found = self[values] = self._name + "".join(f",{key}={value}" for key, value in pairs if value)
        return found


def label_tags(labels: dict[str, str]) -> str:
    """`,label_<key>=<value>` of each label that has a value."""
    pairs = ((tag(f"label_{key}"), tag(value)) for key, value in sorted(labels.items()))
    return "".join(f",{key}={value}" for key, value in pairs if value)


class Fields:
    """The field part of one kind of row: the columns between `first` and `end` of the row, all of this kind."""

    def __init__(self, columns: list[tuple[int, Column]]) -> None:
        self._columns = [(at, f"{column.name}=", VALUES[column.type], column.zero) for at, column in columns]
        places = [at for at, _ in columns]
        kinds = {column.type for _, column in columns}
        # Neighbouring numbers are formatted by one %, which is what makes the VM lines cheap.
        numbers = bool(places) and kinds <= {"long", "double"} and places == list(range(places[0], places[-1] + 1))
        self.template = ",".join(
            f"{column.name}=%di" if column.type == "long" else f"{column.name}=%r" for _, column in columns
        )
        """Makes the whole field part of numbers that all have values; of nothing else."""
        self._span = slice(places[0], places[-1] + 1) if numbers else None
        self.finite = "double" not in kinds
        """Its numbers cannot be NaN or infinity."""

    def __call__(self, row: Row) -> str:
        """`name=value,…`; empty where no column has a value."""
        if self._span is not None:
            values = row[self._span]
            if None not in values and (self.finite or isfinite(sum(values))):
                return self.template % values
        return self._one_by_one(row)

    def _one_by_one(self, row: Row) -> str:
        parts = []
        for at, name, write, zero in self._columns:
            value = row[at]
            text = ("0i" if zero else None) if value is None else write(value)
            if text is not None:
                parts.append(name + text)
        return ",".join(parts)


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
        self._time: datetime = EPOCH
        self._ns = 0
        self._labels: dict[str, str] = {}
        self._label_tags = ""

    def head(self, tags: Row) -> str:
        """The measurement with its tags, without labels."""
        return self._heads[tags]

    def __call__(self, row: Row) -> bytes:
        """The line of one row, without newline; empty where it has none: no field has a value, or it is stale."""
        if self._stale is not None and row[self._stale]:
            return b""
        if row[0] is not self._time:  # rows of one record share the object
            self._time, self._ns = row[0], timestamp_ns(row[0])
        if row[-1] is not self._labels:
            self._labels, self._label_tags = row[-1], label_tags(row[-1])
        fields = (self._kinds.get(row[self._kind], self._all) if self._kinds else self._all)(row)
        if not fields:
            return b""
        return f"{self._heads[row[1 : self._end]]}{self._label_tags} {fields} {self._ns}".encode()
