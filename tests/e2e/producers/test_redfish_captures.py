"""Trees recorded from real BMCs, served over TLS with a login: what is read of each, and in how few requests.

They are not part of the repository; RACKSTREAM_REDFISH_CAPTURES names a folder of them. Trees not named here are read
too, and must break no rule.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from producers.redfish import RedfishReader
from producers.redfish.documents import uri_key
from producers.redfish.http.client import RedfishClient
from producers.redfish.reader import CATEGORIES
from tests.e2e.support.captured import PASSWORD, USERNAME, Captured, serving

FOLDER: Final = Path(os.environ.get("RACKSTREAM_REDFISH_CAPTURES") or "/nonexistent")
TREES: Final = sorted(path.parents[2].name for path in FOLDER.glob("*/redfish/v1/index.json"))
pytestmark = pytest.mark.skipif(
    not TREES, reason="RACKSTREAM_REDFISH_CAPTURES names no folder of recorded Redfish trees (<name>/redfish/v1/…)"
)
COUNTED: Final = ("temperatures", "fans", "supplies", "volts", "totals", "cpus", "gpus", "dimms", "drives", "ports")
MERGED: Final[Mapping[str, tuple[int, ...]]] = {
    "cray-ex4252-4node": (84, 0, 4, 132, 0, 8, 0, 96, 0, 8),
    "dell-r750-idrac9": (5, 6, 2, 8, 1, 2, 1, 16, 3, 4),
    "dmtf-rackmount1-synthetic": (2, 4, 1, 2, 1, 1, 0, 3, 4, 4),
    "gigabyte-h262-ami": (17, 0, 2, 28, 1, 2, 0, 16, 1, 3),
    "hpe-dl380ag11-ilo6": (29, 6, 4, 0, 1, 2, 2, 16, 8, 1),
    "hpe-dl385g10pv2-ilo5": (47, 6, 2, 0, 1, 2, 0, 16, 18, 3),
    # Two more temperatures say 0 with State Disabled, which is no reading; its one drive is a dead link.
    "intel-s2600bpb": (26, 6, 2, 2, 1, 2, 0, 6, 0, 0),
    "lenovo-sr670v2-xcc": (14, 10, 4, 4, 3, 2, 8, 16, 4, 2),
    # Both Systems list its two CPUs with their memory, both Storage and Chassis its nine drives: each URI is a record.
    "nvidia-gb200-openbmc": (32, 12, 0, 12, 1, 4, 4, 8, 18, 6),
    "openbmc-stock": (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "supermicro-821ge-hgxh100": (36, 6, 8, 12, 1, 2, 0, 32, 8, 10),
    "supermicro-x10sdv": (0, 0, 0, 0, 1, 1, 0, 4, 0, 4),
}
"""Capture → how many of `COUNTED` give a reading, or are there; drives and ports with empty slots."""


@dataclass(frozen=True)
class Read:
    """What was read of one tree, with the plan known already."""

    body: dict[str, list[dict[str, Any]]]
    requests: Counter[str]
    """Category → requests of its second poll."""
    first: int
    """Requests of the first poll of all categories, discovery among them."""
    serial: int
    """Resources in the tree: what a walk over all of it, one by one, would ask for."""
    chassis: int


def poll(reader: RedfishReader, server: Captured) -> tuple[dict[str, list[dict[str, Any]]], Counter[str]]:
    body: dict[str, list[dict[str, Any]]] = {}
    requests: Counter[str] = Counter()
    for category in CATEGORIES:
        before = len(server.asked)
        sample = reader.read(category, 120)
        requests[category] = len(server.asked) - before
        for name, array in sample.body.items():
            if isinstance(array, list):
                body[name] = body.get(name, []) + array
    return body, requests


def read(name: str, *, expands: bool = True) -> Read:
    with serving(Captured(FOLDER / name, expands=expands)) as server:
        reader = RedfishReader(
            name, RedfishClient(server.url, lambda: (USERNAME, PASSWORD), verify=False), labels={}, intervals={}
        )
        _, first = poll(reader, server)
        body, requests = poll(reader, server)
        chassis = len(reader.chassis_systems)
        reader.close()
    files = sum(1 for _ in (FOLDER / name / "redfish").rglob("index.json"))
    return Read(body, requests, first.total(), files, chassis)


@pytest.fixture(scope="module")
def trees() -> Iterator[dict[str, Read]]:
    with ThreadPoolExecutor(4) as pool:
        yield dict(zip(TREES, pool.map(read, TREES), strict=True))


def counts(body: Mapping[str, list[dict[str, Any]]]) -> tuple[int, ...]:
    def with_number(array: str, *names: str) -> int:
        return sum(any(each[name] is not None for name in names) for each in body[array])

    def there(array: str) -> list[dict[str, Any]]:
        return [each for each in body[array] if each["state"] != "Absent"]

    kinds = Counter(each["processor_type"] for each in there("processors"))
    return (
        with_number("temperatures", "reading_celsius"),
        with_number("fans", "speed_rpm", "speed_percent"),
        len(there("power_supplies")),
        with_number("voltages", "reading_volts"),
        with_number("power_controls", "power_consumed_watts"),
        kinds["CPU"],
        kinds["GPU"],
        len(there("dimms")),
        len(body["drives"]),
        len(body["interfaces"]),
    )


def test_every_capture_gives_what_is_known_to_be_in_it(trees: dict[str, Read]) -> None:
    found = {name: dict(zip(COUNTED, counts(each.body), strict=True)) for name, each in trees.items() if name in MERGED}
    assert {name: dict(zip(COUNTED, MERGED[name], strict=True)) for name in found} == found


def test_no_source_is_told_twice(trees: dict[str, Read]) -> None:
    for name, each in trees.items():
        for array, records in each.body.items():
            uris = Counter(uri_key(record["odata_id"]) for record in records if record["odata_id"])
            # Some BMCs give each entry of an array the URI of its resource.
            entries = {uri for uri in uris if "#" in uri or array not in ("storage_controllers", "voltages")}
            assert [] == [uri for uri in entries if uris[uri] > 1], f"{name}: {array}"


def test_an_absent_sensor_has_no_reading(trees: dict[str, Read]) -> None:
    readings = {
        "temperatures": ["reading_celsius"],
        "fans": ["speed_rpm", "speed_percent"],
        "voltages": ["reading_volts"],
    }
    for name, each in trees.items():
        for array, names in readings.items():
            for record in each.body[array]:
                if record["state"] in ("Absent", "UnavailableOffline"):
                    assert [None] * len(names) == [record[reading] for reading in names], f"{name}: {record}"


def test_thermal_and_power_take_at_most_four_requests_per_chassis(trees: dict[str, Read]) -> None:
    assert {} == {
        name: each.requests for name, each in trees.items()
        if name in MERGED and each.requests["thermal"] + each.requests["power"] > 4 * each.chassis
    }  # fmt: skip


def test_all_seven_categories_take_few_requests(trees: dict[str, Read]) -> None:
    for name, each in trees.items():
        print(
            f"{name}: {each.requests.total()} requests, first {each.first}, serial walk {each.serial}: {each.requests}"
        )
        assert each.requests.total() <= each.serial, name
    if "dell-r750-idrac9" in trees:
        assert trees["dell-r750-idrac9"].requests.total() <= 12


def test_without_expand_the_same_is_read() -> None:
    for name in sorted({"dell-r750-idrac9", "hpe-dl380ag11-ilo6", "lenovo-sr670v2-xcc"} & set(TREES)):
        assert MERGED[name] == counts(read(name, expands=False).body), name
