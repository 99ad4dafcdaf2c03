from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks import datasets
from sinks.influx import line_protocol
from sinks.influx.line_protocol import LineEncoder
from sinks.rows import Dataset, DatasetColumn

AT = datetime(2023, 11, 13, 18, 40, tzinfo=UTC)
NS = 1699900800000000000
SAMPLE = Dataset(
    "some thing",
    "raw-host",
    (
        DatasetColumn("a tag", "string", is_tag=True),
        DatasetColumn("n", "long", is_tag=True),
        DatasetColumn("text", "string"),
        DatasetColumn("long", "long"),
        DatasetColumn("double", "double"),
        DatasetColumn("flag", "boolean"),
        DatasetColumn("at", "timestamp"),
        DatasetColumn("hidden", "string", in_lines=False),
    ),
    (),
)


def parse(text: str) -> tuple[str, dict[str, str], dict[str, Any], int]:
    """One line, read character by character after the published grammar, as InfluxDB 1.8 does."""
    at = 0

    def until(stops: str, specials: str) -> str:
        nonlocal at
        found = ""
        while text[at] not in stops:
            if text[at] == "\\" and text[at + 1] in specials:
                at += 1
            assert text[at] != "\n", "a newline outside of quotes ends the line"
            found += text[at]
            at += 1
        return found

    name, tags, fields = until(", ", ", "), {}, {}
    while text[at] == ",":
        at += 1
        key = until("=", ",= ")
        at += 1
        tags[key] = until(", ", ",= ")
    while text[at] in ", " and not re.fullmatch(r" -?\d+", text[at:]):
        at += 1
        key = until("=", ",= ")
        at += 1
        if text[at] != '"':
            fields[key] = number(until(", ", ""))
            continue
        at += 1
        found = ""
        while text[at] != '"':
            at += text[at] == "\\" and text[at + 1] in '\\"'
            found += text[at]
            at += 1
        at += 1
        fields[key] = found
    return name, tags, fields, int(text[at:])


def number(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text[:-1]) if text.endswith("i") else float(text)


def as_tag(text: str) -> str:
    """What a tag can say of a text; see the module's docstring."""
    text = re.sub(r"\\+(?=[,= ])", lambda found: found[0] * 2, text.replace("\0", "").rstrip("\\"))
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


TEXTS = st.text(alphabet=st.sampled_from('ab,= \\"\n\r\t\0é😀')) | st.text(st.characters(exclude_categories=("Cs",)))
TIMES = st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))  # noqa: DTZ001


@given(TIMES, TEXTS, st.integers(), TEXTS, st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(),
       st.none() | st.booleans(), st.none() | TIMES, st.dictionaries(TEXTS, TEXTS, max_size=3))  # fmt: skip
def test_any_row_reads_back_as_it_was(time, tag, n, text, long, double, flag, at, labels) -> None:  # noqa: PLR0917
    encoded = LineEncoder(SAMPLE)((time, tag, n, text, long, double, flag, at, "x", labels)).decode()
    name, tags, fields, ns = parse(encoded)
    assert name == "some thing"
    micros = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert ns == micros * 1000
    expected = {"a tag": as_tag(tag), "n": str(n)}
    expected |= {as_tag(f"label_{key}"): as_tag(labels[key]) for key in sorted(labels) if as_tag(labels[key])}
    assert tags == {key: value for key, value in expected.items() if value}
    values = {"text": text, "long": long, "double": double, "flag": flag, "at": at and line_protocol.timestamp_ns(at)}
    if double is not None and not math.isfinite(double):
        values["double"] = None
    assert fields == {key: value for key, value in values.items() if value is not None}


@given(st.lists(st.none() | st.floats(), min_size=3, max_size=3))
def test_the_fast_path_writes_what_the_slow_one_does(values: list[float | None]) -> None:
    columns = tuple(DatasetColumn(name, "double") for name in ("a", "b", "c"))
    encoded = LineEncoder(Dataset("m", "raw-host", columns, ()))((AT, *values, {}))
    good = {n: v for n, v in zip("abc", values, strict=True) if v is not None and math.isfinite(v)}
    assert (parse(encoded.decode())[2] if encoded else {}) == good


def test_seed_003s_lines_come_out_to_the_letter() -> None:
    nic = {"device": "eth0", "rxbytes": 1048576, "rxpackets": 1024, "rxerrors": 0, "rxdrops": 0,
           "txbytes": 2097152, "txpackets": 2048, "txerrors": 0, "txdrops": 0}  # fmt: skip
    disk = {
        "device": "vda",
        "rd_req": 50000,
        "rd_bytes": 104857600,
        "wr_reqs": 30000,
        "wr_bytes": 67108864,
        "errors": 0,
    }
    vm = {"vmid": "1", "name": "web-server", "uuid": "abc-123", "stale": False, "nics": [nic], "disks": [disk]}
    record = {"observed_at": AT, "host": "kvm-1", "epoch": "e", "sequence": 0, "labels": {}, "domains": [vm]}
    devices = datasets.find("vm_devices")
    tags = "vm_devices,VMID=1,name=web-server,uuid=abc-123,host=kvm-1"
    nic_fields = "rxbytes=1048576i,rxpackets=1024i,rxerrors=0i,rxdrops=0i,"
    nic_fields += "txbytes=2097152i,txpackets=2048i,txerrors=0i,txdrops=0i"
    disk_fields = "rd_req=50000i,rd_bytes=104857600i,wr_reqs=30000i,wr_bytes=67108864i,errors=0i"
    assert [LineEncoder(devices)(row).decode() for row in devices.rows(record)] == [
        f"{tags},devtype=nic,device=eth0 {nic_fields} {NS}",
        f"{tags},devtype=disk,device=vda {disk_fields} {NS}",
    ]


def test_an_unknown_integer_of_a_vm_is_written_as_0_and_only_for_its_kind_of_device() -> None:
    devices = datasets.find("vm_devices")
    row = (AT, "1", "vm", "u", "h", "nic", "eth0", None, *[5] * 7, *[None] * 5, False, "e", 0, {})
    assert parse(LineEncoder(devices)(row).decode())[2] == {
        "rxbytes": 0, "rxpackets": 5, "rxerrors": 5, "rxdrops": 5, "txbytes": 5, "txpackets": 5, "txerrors": 5,
        "txdrops": 5,
    }  # fmt: skip


def test_a_stale_vm_has_no_line() -> None:
    metrics = datasets.find("vm_metrics")
    row = (AT, "1", "vm", "u", "h", "running", 1, 2, 3, 4, True, "e", 0, {})
    assert LineEncoder(metrics)(row) == b""
    assert LineEncoder(metrics)((*row[:10], False, *row[11:])) != b""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a,b", r"a\,b", id="comma"),
        pytest.param("a b", r"a\ b", id="space"),
        pytest.param("a=b", r"a\=b", id="equals"),
        pytest.param("a\nm f=1 1", r"a\nm\ f\=1\ 1", id="a newline injects no line"),
        pytest.param("C:\\", "C:", id="a backslash at the end"),
        pytest.param("a\\ b", r"a\\\ b", id="a backslash before an escape"),
        pytest.param("\\", "", id="nothing but a backslash"),
        pytest.param("a\\\0", "a", id="a backslash that a removed character uncovers"),
    ],
)
def test_tags_are_escaped(text: str, expected: str) -> None:
    assert line_protocol.tag(text) == expected


def test_labels_are_tags_and_empty_ones_are_left_out() -> None:
    row = (AT, "", 0, "t", None, None, None, None, None, {"rack": "r 1", "site": "", "a,b": "x"})
    assert LineEncoder(SAMPLE)(row).decode() == rf'some\ thing,n=0,label_a\,b=x,label_rack=r\ 1 text="t" {NS}'


def test_a_row_without_any_field_has_no_line() -> None:
    assert LineEncoder(SAMPLE)((AT, "x", 1, None, None, math.nan, None, None, "hidden", {})) == b""
