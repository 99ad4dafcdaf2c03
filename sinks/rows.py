"""Conversion of records into flat rows: columns, where each value is read, and the scalar fields of a schema. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, Literal

from schemas import catalog
from schemas.catalog import AvroType
from sinks.sink import AnyRecord

ColumnType = Literal["string", "long", "double", "boolean", "timestamp"]
Value = Any
"""A value of a row: text, a number, a boolean, a datetime, or a dict of labels."""
Row = tuple[Value, ...]
"""Values in the order of `Dataset.names`: time (datetime, UTC), tags, fields, labels (dict)."""
ValueReader = str | Callable[[AnyRecord], Value]
"""A key of the item, or a function of it."""
COLUMN_TYPES: Final[dict[str, ColumnType]] = {
    "string": "string",
    "int": "long",
    "long": "long",
    "float": "double",
    "double": "double",
    "boolean": "boolean",
}
"""Avro's primitive type → column type."""


@dataclass(frozen=True)
class DatasetColumn:
    """Column of a dataset."""

    name: str
    type: ColumnType
    unit: str = ""
    """UCUM."""
    is_tag: bool = False
    """True if the column belongs to the identity of a row."""
    zero_if_unknown: bool = False
    """True if line protocol has 0 for a missing value, as the scripting API has; files have null."""
    in_lines: bool = True
    """False if only files have the column."""
    row_kind: str | None = None
    """Kind of the rows that have the column (see `Dataset.kind_column`); None: all rows."""


@dataclass(frozen=True)
class SchemaField:
    """Scalar field of a schema's item."""

    name: str
    type: ColumnType
    unit: str
    read: ValueReader


@dataclass(frozen=True)
class RowSource:
    """Source of rows: the arrays that lead to its items, and where each value of a row is read."""

    path: tuple[str, ...]
    """Names of the arrays from the record to the item; empty: the record itself."""
    sources: tuple[tuple[int, ValueReader], ...]
    """Depth at which each value is read (0: the record), and how."""

    @cached_property
    def _plan(self) -> tuple[list[Callable[[AnyRecord], Row]], Callable[[Row], Row]]:
        """A reader for each depth, and a function that puts the values read, depth by depth, into the row's order."""
        by_depth = sorted(range(len(self.sources)), key=lambda at: (self.sources[at][0], callable(self.sources[at][1])))
        places = {at: place for place, at in enumerate(by_depth)}
        readers = [
            value_reader(tuple(read for at, read in self.sources if at == depth)) for depth in range(len(self.path) + 1)
        ]
        return readers, itemgetter(*(places[at] for at in range(len(self.sources))))

    def rows(self, record: AnyRecord) -> Iterator[Row]:
        """Yields the rows of one record."""
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


def value_reader(reads: tuple[ValueReader, ...]) -> Callable[[AnyRecord], Row]:
    """Returns a function that reads some values of an item: those of keys, then those of functions."""
    keys = [read for read in reads if isinstance(read, str)]
    functions = [read for read in reads if not isinstance(read, str)]
    if len(keys) == 1 and not functions:
        key = keys[0]
        return lambda item: (item[key],)
    if len(keys) < 2:
        all_functions: list[Callable[[AnyRecord], Value]] = [*map(itemgetter, keys), *functions]
        return lambda item: tuple([function(item) for function in all_functions])
    getter = itemgetter(*keys)
    if not functions:
        return getter
    return lambda item: (*getter(item), *[function(item) for function in functions])


@dataclass(frozen=True)
class Dataset:
    """A table of rows, made from the records of a topic."""

    name: str
    alias: str
    """Alias of the topic that it is made from."""
    columns: tuple[DatasetColumn, ...]
    """Tags, then fields; without time and labels."""
    parts: tuple[RowSource, ...]
    kind_column: str | None = None
    """Name of the tag that distinguishes kinds of rows, if kinds differ in their columns."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of a row's values: time, the columns, labels."""
        return ("time", *(column.name for column in self.columns), "labels")

    @cached_property
    def tags(self) -> tuple[DatasetColumn, ...]:
        """Columns of the identity."""
        return tuple(column for column in self.columns if column.is_tag)

    def rows(self, record: AnyRecord) -> Iterator[Row]:
        """Yields the rows of one decoded record."""
        for part in self.parts:
            yield from part.rows(record)

    def identity(self, row: Row) -> Row:
        """Returns time and tags, which are equal for two rows of the same fact."""
        return row[: 1 + len(self.tags)]


def _resolve(avro_type: AvroType, definitions: dict[str, AvroType]) -> AvroType:
    """Returns an Avro type without its null, and a definition in place of its name."""
    if isinstance(avro_type, list):
        avro_type = next(branch for branch in avro_type if branch != "null")
    if isinstance(avro_type, dict) and "name" in avro_type:
        definitions[avro_type["name"]] = avro_type
    return definitions.get(avro_type, avro_type) if isinstance(avro_type, str) else avro_type


def _nested(struct: str, name: str) -> ValueReader:
    return lambda item: None if item[struct] is None else item[struct][name]


def _scalar_fields(record: AvroType, definitions: dict[str, AvroType]) -> Iterator[SchemaField]:
    for field in record["fields"]:
        name, avro_type = field["name"], _resolve(field["type"], definitions)
        if isinstance(avro_type, str):
            yield SchemaField(name, COLUMN_TYPES[avro_type], field.get("unit", ""), name)
        elif "logicalType" in avro_type:
            yield SchemaField(name, "timestamp", "", name)
        elif avro_type["type"] == "enum":
            yield SchemaField(name, "string", "", name)
        elif avro_type["type"] == "record":
            for inner in _scalar_fields(avro_type, definitions):
                yield SchemaField(f"{name}_{inner.name}", inner.type, inner.unit, _nested(name, inner.name))


def scalar_fields(schema: str, path: tuple[str, ...] = ()) -> list[SchemaField]:
    """Returns the scalar fields of the item that `path`, names of arrays, leads to. Structs are flattened, one deep."""
    definitions: dict[str, AvroType] = {}
    record: AvroType = catalog.schema(schema).definition
    for step in path:
        array = {field["name"]: field["type"] for field in record["fields"]}[step]
        record = _resolve(_resolve(array, definitions)["items"], definitions)
    return list(_scalar_fields(record, definitions))
