"""How a record becomes flat rows: columns, where each is read, and the scalar fields of a schema. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, Literal

from schemas import catalog

Type = Literal["string", "long", "double", "boolean", "timestamp"]
Record = dict[str, Any]
Row = tuple[Any, ...]
"""Values in the order of `Dataset.names`: time (datetime, UTC), tags, fields, labels (dict)."""
Read = str | Callable[[Record], Any]
"""A key of the item, or a function of it."""
AVRO: Final[dict[str, Type]] = {
    "string": "string",
    "int": "long",
    "long": "long",
    "float": "double",
    "double": "double",
    "boolean": "boolean",
}


@dataclass(frozen=True)
class Column:
    """One column. Tags make identity."""

    name: str
    type: Type
    unit: str = ""
    """UCUM."""
    tag: bool = False
    zero: bool = False
    """Unknown is written as 0 in line protocol, as the seeds do; files keep null."""
    in_lines: bool = True
    """False: only files have it."""
    kind: str | None = None
    """The kind of row that has this column (see `Dataset.kind`); None: every row."""


@dataclass(frozen=True)
class Field:
    """One scalar field of a schema's item."""

    name: str
    type: Type
    unit: str
    read: Read


@dataclass(frozen=True)
class Part:
    """One source of rows: the arrays to walk, and for each value of a row at which depth it is read, and how."""

    path: tuple[str, ...]
    sources: tuple[tuple[int, Read], ...]

    @cached_property
    def _plan(self) -> tuple[list[Callable[[Record], Row]], Callable[[Row], Row]]:
        """A reader per depth, and what puts the values read, depth after depth, in the order of the row."""
        by_depth = sorted(range(len(self.sources)), key=lambda at: (self.sources[at][0], callable(self.sources[at][1])))
        places = {at: place for place, at in enumerate(by_depth)}
        readers = [
            reader(tuple(read for at, read in self.sources if at == depth)) for depth in range(len(self.path) + 1)
        ]
        return readers, itemgetter(*(places[at] for at in range(len(self.sources))))

    def rows(self, record: Record) -> Iterator[Row]:
        """The rows of one record."""
        readers, arrange = self._plan
        outer = readers[0](record)
        if not self.path:
            yield arrange(outer)
            return
        for item in record[self.path[0]]:
            values = outer + readers[1](item)
            if len(self.path) == 1:
                yield arrange(values)
                continue
            for leaf in item[self.path[1]]:
                yield arrange(values + readers[2](leaf))


def reader(reads: tuple[Read, ...]) -> Callable[[Record], Row]:
    """Reads some values of an item: keys, then functions."""
    keys = [read for read in reads if isinstance(read, str)]
    functions = [read for read in reads if not isinstance(read, str)]
    if len(keys) == 1 and not functions:
        key = keys[0]
        return lambda item: (item[key],)
    if len(keys) < 2:
        every: list[Callable[[Record], Any]] = [*map(itemgetter, keys), *functions]
        return lambda item: tuple([function(item) for function in every])
    getter = itemgetter(*keys)
    if not functions:
        return getter
    return lambda item: (*getter(item), *[function(item) for function in functions])


@dataclass(frozen=True)
class Dataset:
    """One table of rows."""

    name: str
    alias: str
    """Alias of the topic it comes from."""
    columns: tuple[Column, ...]
    """Tags, then fields; without time and labels."""
    parts: tuple[Part, ...]
    kind: str | None = None
    """The tag that says what kind of row it is, where kinds differ in their columns."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of a row's values: time, the columns, labels."""
        return ("time", *(column.name for column in self.columns), "labels")

    @cached_property
    def tags(self) -> tuple[Column, ...]:
        """Columns of the identity."""
        return tuple(column for column in self.columns if column.tag)

    def rows(self, record: Record) -> Iterator[Row]:
        """The rows of one decoded record."""
        for part in self.parts:
            yield from part.rows(record)

    def identity(self, row: Row) -> Row:
        """What makes two rows of this dataset the same fact: time and tags."""
        return row[: 1 + len(self.tags)]


def _resolve(kind: Any, named: dict[str, Any]) -> Any:
    """An Avro type without its null, with the definition in place of a name."""
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if isinstance(kind, dict) and "name" in kind:
        named[kind["name"]] = kind
    return named.get(kind, kind) if isinstance(kind, str) else kind


def _nested(struct: str, name: str) -> Read:
    return lambda item: None if item[struct] is None else item[struct][name]


def _scalars(record: Any, named: dict[str, Any]) -> Iterator[Field]:
    for field in record["fields"]:
        name, kind = field["name"], _resolve(field["type"], named)
        if isinstance(kind, str):
            yield Field(name, AVRO[kind], field.get("unit", ""), name)
        elif "logicalType" in kind:
            yield Field(name, "timestamp", "", name)
        elif kind["type"] == "enum":
            yield Field(name, "string", "", name)
        elif kind["type"] == "record":
            for inner in _scalars(kind, named):
                yield Field(f"{name}_{inner.name}", inner.type, inner.unit, _nested(name, inner.name))


def scalars(schema: str, path: tuple[str, ...] = ()) -> list[Field]:
    """The scalar fields of the item that `path`, names of arrays, leads to. Structs are flattened, one deep."""
    named: dict[str, Any] = {}
    record = catalog.schema(schema).definition
    for step in path:
        array = {field["name"]: field["type"] for field in record["fields"]}[step]
        record = _resolve(_resolve(array, named)["items"], named)
    return list(_scalars(record, named))
