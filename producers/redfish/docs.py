"""README.md of this folder, made from the tables: Redfish property → field of the record → unit → DMTF schema. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from producers.redfish.mapping.table import Field, Table
from producers.redfish.reader import CATEGORIES
from schemas import catalog

HEAD: Final = """\
# Redfish → records

Made by `python -m producers.redfish` from the tables in `tables.py` and `tables_new.py`; `make check` says when it is
stale. Fields are those of `RedfishSample.avsc`, by category and array. The first property with a usable value is taken;
a number that is quoted is one; what cannot be used is null, and counted in the record's `errors`. Of something absent
no number is told. Where several tables fill one array, one of them is taken whole for each chassis: the one with more
usable readings, and of equal ones the first; Sensors, where Thermal or Power has none. A Sensor that names no unit has
that of its ReadingType. The schema is the version that the table follows; older ones have the same properties or fewer.

`chassis_id`, `system_id` and `storage_id` come from where a resource was found.
"""

OURS: Final = {
    "Temperature": "temperatures among ",
    "Rotational": "fans among ",
    "Voltage": "voltages among ",
    "Total": "",
}
"""Arrays that `sides` makes of resources that have none of the kind → how they are told."""


def text() -> str:
    """The whole file."""
    return HEAD + "".join(
        f"\n## {category}\n" + "".join(_section(table) for table in tables) for category, tables in CATEGORIES.items()
    )


def _section(table: Table) -> str:
    types = _fields(table.record)
    where = OURS.get(table.each, f"`{table.each}[]` of " if table.each else "")
    lines = list(_lines(table, types, ""))
    for part in table.parts:
        lines += _lines(part, _inner(types[part.record]), f"{part.record}.")
    return (
        f"\n### `{table.record}` ← {where}{table.schema}\n\n"
        "| property | field | unit | schema |\n| --- | --- | --- | --- |\n" + "".join(lines)
    )


def _lines(table: Table, types: Mapping[str, Any], before: str) -> Iterator[str]:
    for field in table.fields:
        if not field.paths:
            continue
        first = (f"`{_full(table, field.says_unit, before)}`; ") if field.says_unit else ""
        properties = first + ", else ".join(f"`{_full(table, path, before)}`" for path in field.paths)
        unit = types[field.name].get("unit")
        schemas = dict.fromkeys(_schema(table, path) for path in field.paths)
        yield (
            f"| {properties}{_only(field)} | `{before}{field.name}` | {f'`{unit}`' if unit else ''} | "
            f"{', '.join(schemas)} |\n"
        )


def _full(table: Table, path: str, before: str) -> str:
    return f"{table.each}/{path}" if before else path


def _only(field: Field) -> str:
    unit = f" where ReadingUnits is {field.unit_is}" if field.unit_is else ""
    return unit + (f", without `{field.unless}`" if field.unless else "")


def _schema(table: Table, path: str) -> str:
    return next((schema for start, schema in table.linked if path.startswith(f"{start}/")), table.schema)


def _fields(array: str) -> dict[str, Any]:
    """Field → its definition, of an array of RedfishSample."""
    sample = catalog.schema("RedfishSample").definition
    record = next(field["type"]["items"] for field in sample["fields"] if field["name"] == array)
    return {field["name"]: field for field in record["fields"]}


def _inner(field: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in field["type"]["fields"]}
