"""The generated list of what is read of a BMC, and that golden cases show all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from producers.redfish import docs, reader
from producers.redfish.scripting.dictionaries import LAYOUTS
from schemas import catalog

CASES = Path(__file__).parents[3] / "cases" / "redfish"
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "long": int,
    "double": (float, int),
    "boolean": bool,
    "array": list,
    "record": dict,
}
FAN = {"reading_rpm": "speed_rpm", "reading_units": "speed_percent"}
"""Key of the scripting API → field of the record it is made of."""


def test_the_readme_is_made_of_the_tables() -> None:
    assert docs.text() == docs.README.read_text()


def test_the_readme_names_every_property_and_field() -> None:
    text = docs.text()
    for tables in reader.CATEGORIES.values():
        for table in tables:
            assert f"`{table.record_field}` ← " in text
            for field in table.fields:
                assert not field.paths or f"`{field.name}`" in text
                assert all(f"{path}`" in text for path in field.paths)


def expected(array: str) -> Iterator[Mapping[str, Any]]:
    """Records of an array that the cases expect."""
    for path in CASES.glob("*/expected.json"):
        yield from json.loads(path.read_text()).get(array, [])


def kind_of(definition: Any) -> str:
    told = next(each for each in definition if each != "null") if isinstance(definition, list) else definition
    return str(told["type"] if isinstance(told, dict) else told)


@pytest.mark.parametrize("array", LAYOUTS)
def test_every_key_of_the_scripting_api_is_in_some_case_with_its_type(array: str) -> None:
    sample = catalog.schema("RedfishSample").definition
    schema = next(field["type"]["items"]["fields"] for field in sample["fields"] if field["name"] == array)
    types = {each["name"]: each["type"] for each in schema}
    records = list(expected(array))
    missing = []
    for key in LAYOUTS[array].keys:
        name = FAN.get(key, key) if array == "fans" else key
        values = [record[name] for record in records if record.get(name) is not None]
        if not values or not all(isinstance(value, KINDS[kind_of(types[name])]) for value in values):
            missing.append(key)
        if isinstance(types[name], dict) and types[name]["type"] == "record":
            inner = {field["name"] for field in types[name]["fields"]}
            missing += [f"{key}.{each}" for each in inner if not any(each in value for value in values)]
    assert [] == missing
