"""Redfish documents → records: golden cases by vendor, and the rules no document may break."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.reader import Problems
from producers.redfish.chassis_resources import SOURCES
from producers.redfish.documents import boolean, integer, number, text, uri_key
from producers.redfish.mapping import table as fields
from producers.redfish.mapping import tables
from producers.redfish.reader import CATEGORIES
from producers.redfish.source_selection import READING_KINDS
from schemas import catalog

CASES = Path(__file__).parents[4] / "cases" / "redfish"
FOLDERS = sorted(path.parent for path in CASES.glob("*/thermal.json"))  # those with a tree.json are served, in e2e
PLACE = {"chassis_id", "system_id", "storage_id"}
ALL_TABLES = [table for each in CATEGORIES.values() for table in each]


def records(table: fields.ResourceTable, document: Any, problems: Problems) -> list[dict[str, Any]]:
    if table.property_path:
        return list(fields.map_array(table, document, problems))
    return [fields.map_object(table, document, problems, default_id="Self")]


def without_nulls(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if value is not None
    }


@pytest.mark.parametrize("case", FOLDERS, ids=lambda path: path.name)
def test_a_document_gives_the_records_of_its_case(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text())
    problems = Problems()
    found: dict[str, Any] = {}
    old = {
        category: [SOURCES[kind][category.title()] for kind in READING_KINDS[category]] for category in READING_KINDS
    }
    for category, each in {"system": [tables.SYSTEM], **old}.items():
        document = json.loads((case / f"{category}.json").read_text())
        for table in each:
            found[table.record_field] = [without_nulls(record) for record in records(table, document, problems)]
    found["problems"] = {f"{name}: {cause}": count for (name, cause), count in problems.counts.items()}
    assert expected == found


def schema_of(array: str) -> dict[str, Any]:
    sample = catalog.schema("RedfishSample").definition
    return next(field["type"]["items"] for field in sample["fields"] if field["name"] == array)


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.record_field)
def test_a_record_has_exactly_the_fields_of_its_schema(table: fields.ResourceTable) -> None:
    schema = schema_of(table.record_field)
    record = fields.map_object(table, {}, Problems())
    names = {field["name"] for field in schema["fields"]}
    assert names - PLACE == set(record) - PLACE
    assert set(record) <= names
    for part in table.nested:
        inner = next(field["type"] for field in schema["fields"] if field["name"] == part.record_field)
        assert {field["name"] for field in inner["fields"]} == set(record[part.record_field])


PROPERTIES = sorted(
    {
        name
        for table in [*ALL_TABLES, *tables.SYSTEM.nested, *tables.PROCESSOR.nested]
        for path in (table.property_path, *(path for field in table.fields for path in field.paths))
        for name in path.split("/")
        if name
    }
    | {"ReadingUnits", "Status", "State"}
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["Absent", "RPM", "nan"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(PROPERTIES), inner), max_leaves=12
)
OBJECTS = st.dictionaries(st.sampled_from(PROPERTIES), JSON, max_size=10)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [leaf for each in inner for leaf in leaves(each)]
    return [value]


@given(OBJECTS)
def test_no_document_breaks_a_table_and_what_it_gives_fits_avro(document: dict[str, Any]) -> None:
    for table in ALL_TABLES:
        for record in records(table, document, Problems()):
            assert record.pop("failure_predicted", None) in (None, True, False)
            for leaf in leaves(record):
                assert leaf is None or isinstance(leaf, str | int | float)
                if isinstance(leaf, str):
                    assert leaf.encode() == leaf.strip().encode()
                elif leaf is not None:
                    assert math.isfinite(leaf)
                    assert not isinstance(leaf, bool)


@given(OBJECTS, st.sampled_from(["Absent", "UnavailableOffline", "absent "]))
def test_an_absent_thing_has_no_number(entry: dict[str, Any], state: str) -> None:
    absent = entry | {"Status": {"State": state}}
    for table in ALL_TABLES[1:]:
        found = records(table, {table.property_path: [absent]} if table.property_path else absent, Problems())
        assert not [leaf for record in found for leaf in leaves(record) if isinstance(leaf, int | float)]


@given(st.lists(OBJECTS, max_size=3))
def test_a_fan_has_at_most_one_speed(entries: list[dict[str, Any]]) -> None:
    for record in fields.map_array(tables.FAN, {"Fans": entries}, Problems()):
        assert None in (record["speed_rpm"], record["speed_percent"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("5500", 5500.0, id="quoted"),
        pytest.param(" 55.5 ", 55.5, id="padded"),
        pytest.param(-71, -71.0, id="a margin is negative"),
        pytest.param("1_000", None, id="Python's own spelling is no number"),
        pytest.param(True, None, id="a boolean is no number"),
        pytest.param("25 C", None, id="a unit is no number"),
        pytest.param(10**400, None, id="larger than a double"),
        pytest.param("inf", None, id="infinity"),
    ],
)
def test_numbers(value: Any, expected: float | None) -> None:
    assert expected == number(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(2, 2, id="itself"),
        pytest.param("2", 2, id="quoted"),
        pytest.param(2.5, None, id="half a processor"),
        pytest.param(2**63, None, id="larger than Avro's long"),
    ],
)
def test_whole_numbers(value: Any, expected: int | None) -> None:
    assert expected == integer(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("SEAGATE ", "SEAGATE", id="padded"),
        pytest.param("   ", None, id="blank"),
        pytest.param("\ud800", "?", id="half a surrogate pair"),
        pytest.param(0, "0", id="an id that is a number"),
        pytest.param({}, None, id="an object"),
    ],
)
def test_text(value: Any, expected: str | None) -> None:
    assert expected == text(value)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        pytest.param(boolean, True, True, id="a truth"),
        pytest.param(boolean, "true", None, id="a text is no truth"),
        pytest.param(fields.led_state, "Blinking", "Blinking", id="an LED"),
        pytest.param(fields.led_state, True, "Lit", id="LocationIndicatorActive"),
        pytest.param(fields.led_state, False, "Off", id="LocationIndicatorActive is false"),
        pytest.param(fields.text_list, ["SAS ", None, ""], ["SAS"], id="texts"),
        pytest.param(fields.text_list, "SAS", None, id="one text is no list"),
        pytest.param(fields.integer_list, [4800, "5600", None, 0.5], [4800, 5600], id="speeds"),
        pytest.param(fields.port_count, [{"ControllerCapabilities": {"NetworkPortCount": -1}}], None, id="-1 ports"),
        pytest.param(fields.port_count, [{"ControllerCapabilities": {"NetworkPortCount": 2}}, {}], 2, id="ports"),
        pytest.param(fields.port_count, {"Members": [{}, {}]}, 2, id="a collection of ports"),
        pytest.param(fields.port_count, {"@odata.id": "/x"}, None, id="a link is no number of ports"),
    ],
)
def test_readers(read: Any, value: Any, expected: Any) -> None:
    assert expected == read(value)


def test_spellings_of_one_uri_have_one_key() -> None:
    assert uri_key("/redfish/v1/Chassis/1/Thermal/#Fans/0") == uri_key("/redfish/v1/Chassis/1/Thermal#/Fans/0")
