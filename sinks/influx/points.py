"""Points of InfluxDB: parsed from line protocol, and read from the server, in one form so that they can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from sinks.influx.setup import InfluxServer

Tags = tuple[tuple[str, str], ...]
HEAD: Final = re.compile(rb"(?:\\[,= ]|[^, ])+")
"""The measurement, or a tag with its value."""
EQUALS: Final = re.compile(r"(?<!\\)=")
FIELD: Final = re.compile(rb'([^=]+)=("(?:\\.|[^"\\])*"|[^, ]+),?', re.DOTALL)
ESCAPED: Final = re.compile(r"\\([,= ])")
DOUBLED: Final = re.compile(r"\\+(?=[,= ])")
NANOSECONDS: Final = 1_000_000_000
SPAN_NS: Final = 60 * NANOSECONDS
"""Period of the first query."""
MIN_SPAN_NS: Final = NANOSECONDS
MAX_SPAN_NS: Final = 24 * 3600 * NANOSECONDS
FEW_POINTS: Final = 2_000
"""After an answer with fewer points, the next query covers a longer period."""
MANY_POINTS: Final = 20_000
"""After an answer with more points, the next query covers a shorter period."""


class Point(NamedTuple):
    """A point: measurement, tags, time and fields."""

    measurement: str
    tags: Tags
    """Sorted."""
    at_ns: int
    """Nanoseconds since 1970."""
    fields: dict[str, object]


def parse_line(line: bytes) -> Point:
    """Returns the point of a line as `LineEncoder` writes it."""
    end = 0
    heads = []
    while head := HEAD.match(line, end):
        heads.append(head[0].decode())
        end = head.end() + 1
        if line[head.end() : end] != b",":
            break
    fields: dict[str, object] = {}
    while (field := FIELD.match(line, end)) is not None:
        fields[field[1].decode()] = _parse_value(field[2])
        end = field.end()
    pairs = (EQUALS.split(head, maxsplit=1) for head in heads[1:])
    tags = {_unescape(name): _unescape(value) for name, value in pairs}
    return Point(_unescape(heads[0]), _sorted_tags(tags), int(line[end:]), fields)


def stored_points(server: InfluxServer, database: str, measurement: str, first_ns: int, end_ns: int) -> Iterator[Point]:
    """Yields the stored points of a measurement in [first, end).

    Raises:
        Retry: The server is unreachable.
        Misconfigured: It refuses the query.
    """
    begin, span = first_ns, SPAN_NS
    while begin < end_ns:
        end = min(begin + span, end_ns)
        period = f"time >= {begin} AND time < {end}"
        text = f'SELECT * FROM "{measurement}" WHERE {period} GROUP BY *'  # noqa: S608  InfluxQL, with our own names
        answer = server.query(text, database)
        for series in answer:
            tags, names = _sorted_tags(series.get("tags", {})), series["columns"]
            for values in series["values"]:
                fields = {name: value for name, value in zip(names, values, strict=True) if value is not None}
                yield Point(measurement, tags, fields.pop("time"), fields)
        count = sum(len(series["values"]) for series in answer)
        span = span * 2 if count < FEW_POINTS else span // 2 if count > MANY_POINTS else span
        begin, span = end, min(max(span, MIN_SPAN_NS), MAX_SPAN_NS)


def _sorted_tags(tags: dict[str, str]) -> Tags:
    """Returns the tags with a value. A doubled backslash is one character on 3, two on 1.8: here both become one."""
    return tuple(sorted((DOUBLED.sub(r"\\", name), DOUBLED.sub(r"\\", value)) for name, value in tags.items() if value))


def _unescape(text: str) -> str:
    return ESCAPED.sub(r"\1", text)


def _parse_value(text: bytes) -> object:
    if text[:1] == b'"':
        return re.sub(r"\\([\"\\])", r"\1", text[1:-1].decode())
    if text in (b"true", b"false"):
        return text == b"true"
    return int(text[:-1]) if text[-1:] == b"i" else float(text)
