"""Avro readers compiled from a schema: the same values as fastavro's, for hot records in a third of its time. Pure.

fastavro fetches every byte of a number by itself. Here a pattern finds all numbers of a run of fields at once, and the
numbers of all items of an array are put together in one go; a run of nullable doubles is unpacked at once.
On whatever is unusual a reader raises, and `codec.Decoder` turns to fastavro, whose word counts. So it need not read
all that Avro allows, but may never accept what fastavro refuses, nor read it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, groupby
from typing import Any, Final

from schemas.avro.primitives import (
    PRIMITIVES,
    Reader,
    array,
    instant,
    mapping,
    nullable,
    nullable_doubles,
    string,
    texts,
    timestamp,
)
from schemas.avro.varint import VARINT, longs, size

FLAG: Final = rb"([\x00\x01])"


class Unsupported(Exception):
    """A schema that these readers do not read."""


Named = dict[str, Any]
"""Definitions by name. One that refers to itself is not among them while it is read."""


def _resolved(avro: Any, named: Named) -> Any:
    if isinstance(avro, dict) and isinstance(avro["type"], dict | list):
        return _resolved(avro["type"], named)
    if isinstance(avro, dict) and avro["type"] in PRIMITIVES and "logicalType" not in avro:
        return avro["type"]
    return named.get(avro, avro) if isinstance(avro, str) else avro


def _inner(avro: Any, named: Named) -> Any:
    """The type that a union has besides null."""
    if len(avro) != 2 or avro[0] != "null":
        raise Unsupported(f"a union of {avro}")
    return _resolved(avro[1], named)


def reader(avro: Any, named: Named) -> Reader:  # noqa: PLR0911  one return per Avro type
    """The reader of a schema.

    Raises:
        Unsupported: leave it to fastavro.
    """
    match _resolved(avro, named):
        case [*union]:
            return nullable(reader(_inner(union, named), named))
        case {"logicalType": "timestamp-micros"}:
            return timestamp
        case {"type": "record"} as found:
            return _record(found, named)
        case {"type": "enum"} as found:
            return _enum(found, named)
        case {"type": "array"} as found:
            item = _resolved(found["items"], named)
            is_record = isinstance(item, dict) and item["type"] == "record"
            return _records(item, named) if is_record else array(reader(item, named))
        case {"type": "map"} as found:
            return mapping(reader(found["values"], named))
        case str() as name if name in PRIMITIVES:
            return PRIMITIVES[name]
        case other:
            raise Unsupported(str(other))


def _enum(avro: Mapping[str, Any], named: Named) -> Reader:
    symbols = dict(enumerate(avro["symbols"]))
    named[avro["name"]] = avro

    def read(data: bytes, at: int) -> tuple[str, int]:
        number, at = PRIMITIVES["long"](data, at)
        return symbols[number], at

    return read


Number = tuple[bytes, str, Mapping[int, str] | None]
"""A field that begins as a number: its pattern, what makes its value of the number, and an enum's symbols."""


def _number(avro: Any, named: Named) -> Number | None:
    match _resolved(avro, named):
        case [*union] if found := _number(_inner(union, named), named):
            pattern, made, symbols = found
            made = made if made == "{0}" else f"(None if {{0}} is None else {made})"
            return rb"(?:\x02" + pattern + rb"|\x00)", made, symbols
        case "long" | "int":
            return VARINT, "{0}", None
        case "boolean":
            return FLAG, "({0} != 0)", None
        case {"logicalType": "timestamp-micros"}:
            return VARINT, "instant({0})", None
        case {"type": "enum"} as kind:
            named[kind["name"]] = kind
            return VARINT, "{1}[{0}]", dict(enumerate(kind["symbols"]))
    return None


class _Body:
    """The lines that read one record's fields from `data` at `at`, as if they had been written by hand.

    They leave all numbers' bytes in `tokens` and all other values in variables: the numbers' values come later.
    """

    def __init__(self, fields: Sequence[Mapping[str, Any]], named: Named) -> None:
        self.scope: dict[str, Any] = {"longs": longs, "instant": instant, "texts": texts, "string": string}
        self.lines: list[str] = []
        self.tokens: list[str] = []
        """Variables for the numbers."""
        self.held: list[str] = []
        """Variables, or tuples of them, that the lines set."""
        self.entries: list[str] = []
        """`name: value` of each field."""
        self._named, self._fresh = named, count()
        for kind, run in groupby(fields, key=self._kind):
            getattr(self, f"_{kind}")(list(run))

    def _kind(self, field: Mapping[str, Any]) -> str:
        avro = _resolved(field["type"], self._named)
        if _number(avro, self._named):
            return "numbers"
        if isinstance(avro, list):
            return "doubles" if _inner(avro, self._named) == "double" else "nullables"
        return "strings" if avro == "string" else "others"

    def _variables(self, run: list[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
        for field, number in zip(run, self._fresh, strict=False):
            self.entries.append(f"{field['name']!r}: v{number}")
            yield f"v{number}", field["type"]

    def _numbers(self, run: list[Mapping[str, Any]]) -> None:
        pattern = b""
        for field in run:
            each, made, symbols = _number(field["type"], self._named)  # type: ignore[misc]  # its kind is known
            variable = f"v{next(self._fresh)}"
            self.scope[f"s_{variable}"] = symbols
            self.tokens.append(variable)
            self.entries.append(f"{field['name']!r}: {made.format(variable, f's_{variable}')}")
            pattern += each
        name = f"match_{self.tokens[-1]}"
        self.scope[name] = re.compile(pattern).match
        self.lines += [f"m = {name}(data, at)", 'tokens += m.groups(b"")', "at = m.end()"]

    def _doubles(self, run: list[Mapping[str, Any]]) -> None:
        names = [name for name, _ in self._variables(run)]
        self.held.append(f"({', '.join(names)},)")
        self.scope[f"read_{names[0]}"] = nullable_doubles(len(run))
        self.lines.append(f"{self.held[-1]}, at = read_{names[0]}(data, at)")

    def _strings(self, run: list[Mapping[str, Any]]) -> None:
        for name, _ in self._variables(run):
            self.held.append(name)
            self.lines += [
                "n = data[at]",
                f"if n & 0x81: {name}, at = string(data, at)",  # a long one
                f"else: end = at + 1 + (n >> 1); {name} = texts[data[at + 1:end]]; at = end",
            ]

    def _others(self, run: list[Mapping[str, Any]]) -> None:
        for name, avro in self._variables(run):
            self.held.append(name)
            self.scope[f"read_{name}"] = reader(avro, self._named)
            self.lines.append(f"{name}, at = read_{name}(data, at)")

    def _nullables(self, run: list[Mapping[str, Any]]) -> None:
        """Fields of which often none is present."""
        lines, names = self.lines, []
        self.lines = []
        for name, avro in self._variables(run):
            names.append(name)
            self.scope[f"read_{name}"] = reader(avro, self._named)
            if _inner(avro, self._named) == "string":
                self.lines += [
                    "if data[at] == 2 and not (n := data[at + 1]) & 0x81:",
                    f"    end = at + 2 + (n >> 1); {name} = texts[data[at + 2:end]]; at = end",
                    f"else: {name}, at = read_{name}(data, at)",
                ]
            else:
                self.lines.append(f"{name}, at = read_{name}(data, at)")
        absent = f"if data[at:at + {len(run)}] == {bytes(len(run))!r}: {' = '.join(names)} = None; at += {len(run)}"
        self.lines = [*lines, absent, "else:", *(f"    {line}" for line in self.lines)]
        self.held += names

    def compiled(self, source: str) -> Reader:
        """The function `read` of this source."""
        exec(source, self.scope)  # noqa: S102  names of our own schemas, quoted
        made: Reader = self.scope["read"]
        return made


def _indented(lines: Sequence[str], depth: int) -> str:
    return "".join(f"{'    ' * depth}{line}\n" for line in lines)


def _body(avro: Mapping[str, Any], named: Named) -> _Body:
    if not avro["fields"]:
        raise Unsupported("a record without bytes")
    made = _Body(avro["fields"], named)
    named[avro["name"]] = avro
    return made


def _record(avro: Mapping[str, Any], named: Named) -> Reader:
    body = _body(avro, named)
    numbers = [f"{', '.join(body.tokens)}, = longs(tokens)"] if body.tokens else []
    lines = ["tokens = []", *body.lines, *numbers, f"return {{{', '.join(body.entries)}}}, at"]
    return body.compiled(f"def read(data, at):\n{_indented(lines, 1)}")


def _records(avro: Mapping[str, Any], named: Named) -> Reader:
    """An array of records: one loop finds the bytes of all, another makes the records."""
    body = _body(avro, named)
    body.scope["size"] = size
    item = f"{{{', '.join(body.entries)}}}"
    held = f"({', '.join(body.held)},)" if body.held else "()"
    made = "return found, at"
    if body.tokens:
        values = f"zip(*[iter(longs(tokens))] * {len(body.tokens)})"
        made = f"return [{item} for {held}, ({', '.join(body.tokens)},) in zip(found, {values})], at"
    lines = [*body.lines, f"found.append({held if body.tokens else item})"]
    return body.compiled(
        "def read(data, at):\n"
        "    if not data[at]: return [], at + 1\n"
        "    tokens = []; found = []\n"
        "    while data[at]:\n"
        "        length, at = size(data, at)\n"
        f"        for _ in range(length):\n{_indented(lines, 3)}"
        f"    at += 1; {made}\n"
    )


def compiled(definition: Mapping[str, Any]) -> Reader | None:
    """The reader of a record type, or None where it has what these do not read."""
    try:
        return _record(definition, {})
    except Unsupported:
        return None
