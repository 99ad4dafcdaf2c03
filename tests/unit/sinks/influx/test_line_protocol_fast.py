"""The short way to a line writes what the way over rows does."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import catalog
from sinks import datasets
from sinks.influx import line_protocol_fast
from sinks.influx.line_protocol import LineEncoder
from sinks.influx.sink import RecordLines
from sinks.sink import Item

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture(scope="module")
def lines() -> Callable[[Item], list[bytes]]:
    return RecordLines()


def anything(kind: Any, named: dict[str, Any], chance: random.Random) -> Any:  # noqa: PLR0911  one return per Avro type
    """A value of an Avro type by chance: null, numbers that are none, and text that wants escapes among them."""
    if isinstance(kind, list):
        values = [anything(each, named, chance) for each in kind if each != "null"]
        return None if len(values) < len(kind) and chance.random() < 0.1 else chance.choice(values)
    kind = named.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, str):
        odd = chance.choice([math.nan, math.inf, 0.0, -0.0]) if chance.random() < 0.02 else chance.uniform(-1e12, 1e12)
        some = {"long": chance.randrange(-(2**62), 2**62), "double": odd, "bytes": b"b", "null": None,
                "string": chance.choice(["", "one", "a b,c=d\\", "é\n"]), "boolean": chance.random() < 0.2}  # fmt: skip
        return some[kind]
    if "logicalType" in kind:
        return AT + timedelta(microseconds=chance.randrange(10**9))
    if kind["type"] in ("record", "enum"):
        named[kind["name"]] = kind
    match kind["type"]:
        case "record":
            return {field["name"]: anything(field["type"], named, chance) for field in kind["fields"]}
        case "enum":
            return chance.choice(kind["symbols"])
        case "array":
            return [anything(kind["items"], named, chance) for _ in range(chance.randrange(4))]
        case "map":
            return {"rack": "r,1", "empty": ""}
    raise AssertionError(kind)


@pytest.mark.parametrize("alias", datasets.aliases())
def test_the_lines_of_any_record_are_those_of_its_rows(alias: str, lines: Callable[[Item], list[bytes]]) -> None:
    chance = random.Random(alias)
    definition = catalog.schema(catalog.load()[alias].schema).definition
    encoders = [(each, LineEncoder(each)) for each in datasets.for_topic(alias)]
    for _ in range(100):
        record = anything(definition, {}, chance)
        expected = [line for each, encode in encoders for row in each.rows(record) if (line := encode(row))]
        assert expected == lines(Item(alias, (alias, 0), 0, record))


def test_the_lines_of_vms_and_their_devices_go_the_short_way() -> None:
    short = {
        each.name for each in datasets.ALL if all(line_protocol_fast.is_supported(each, part) for part in each.parts)
    }
    assert {"vm_devices", "vm_totals", "vm_features"} <= short
