"""Points: what a line of line protocol says, and what InfluxDB has stored, in one form so that they can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from sinks.influx.setup import Server

Tags = tuple[tuple[str, str], ...]
HEAD: Final = re.compile(rb"(?:\\[,= ]|[^, ])+")
"""The measurement, or a tag with its value."""
EQUALS: Final = re.compile(r"(?<!\\)=")
FIELD: Final = re.compile(rb'([^=]+)=("(?:\\.|[^"\\])*"|[^, ]+),?', re.DOTALL)
ESCAPED: Final = re.compile(r"\\([,= ])")
DOUBLED: Final = re.compile(r"\\+(?=[,= ])")
NANOSECONDS: Final = 1_000_000_000
SPAN_NS: Final = 60 * NANOSECONDS
"""Read at a time, at first."""
SPANS_NS: Final = (NANOSECONDS, 24 * 3600 * NANOSECONDS)
"""The least and the most."""
POINTS: Final = (2_000, 20_000)
"""An answer with fewer makes the next span longer, one with more makes it shorter."""


class Point(NamedTuple):
    """One point: measurement, tags in their order, nanoseconds since 1970, fields."""

    measurement: str
    tags: Tags
    at_ns: int
    fields: dict[str, Any]


def parse(line: bytes) -> Point:
    """The point of a line as `line.Encoder` writes it."""
    end = 0
    heads = []
    while found := HEAD.match(line, end):
        heads.append(found[0].decode())
        end = found.end() + 1
        if line[found.end() : end] != b",":
            break
    fields: dict[str, Any] = {}
    while (found := FIELD.match(line, end)) is not None:
        fields[found[1].decode()] = _value(found[2])
        end = found.end()
    pairs = (EQUALS.split(head, maxsplit=1) for head in heads[1:])
    tags = {_unescaped(name): _unescaped(value) for name, value in pairs}
    return Point(_unescaped(heads[0]), _ordered(tags), int(line[end:]), fields)


def stored(server: Server, database: str, measurement: str, first_ns: int, end_ns: int) -> Iterator[Point]:
    """What is stored of a measurement in [first, end).

    Raises:
        Retry: the server is away.
        Misconfigured: it refuses the question.
    """
    begin, span = first_ns, SPAN_NS
    while begin < end_ns:
        end = min(begin + span, end_ns)
        within = f"time >= {begin} AND time < {end}"
        text = f'SELECT * FROM "{measurement}" WHERE {within} GROUP BY *'  # noqa: S608  InfluxQL, of our own names
        found = server.series(text, database)
        for series in found:
            tags, names = _ordered(series.get("tags", {})), series["columns"]
            for values in series["values"]:
                fields = {name: each for name, each in zip(names, values, strict=True) if each is not None}
                yield Point(measurement, tags, fields.pop("time"), fields)
        count = sum(len(series["values"]) for series in found)
        span = span * 2 if count < POINTS[0] else span // 2 if count > POINTS[1] else span
        begin, span = end, min(max(span, SPANS_NS[0]), SPANS_NS[1])


def _ordered(tags: dict[str, str]) -> Tags:
    """Tags that have a value. Two backslashes are one character on 3 and two on 1.8: both are read as one here."""
    return tuple(sorted((DOUBLED.sub(r"\\", name), DOUBLED.sub(r"\\", value)) for name, value in tags.items() if value))


def _unescaped(text: str) -> str:
    return ESCAPED.sub(r"\1", text)


def _value(text: bytes) -> Any:
    if text[:1] == b'"':
        return re.sub(r"\\([\"\\])", r"\1", text[1:-1].decode())
    if text in (b"true", b"false"):
        return text == b"true"
    return int(text[:-1]) if text[-1:] == b"i" else float(text)
