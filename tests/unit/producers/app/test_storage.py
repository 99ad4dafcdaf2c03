"""The storages of seed 002: what is stored is retrieved, by time and number, whatever it holds and whoever died."""

import json
import math
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.app import EventType, TelemetryData, TelemetryEvent, TelemetryMetric, avro_codec, json_codec
from producers.app.storage import DatabaseStorage, FileStorage, MemoryStorage
from schemas import catalog, codec

START = datetime(2025, 6, 1, tzinfo=UTC)
NAIVE = START.replace(tzinfo=None)
BACKENDS = pytest.mark.parametrize(
    "make", [MemoryStorage, FileStorage, DatabaseStorage], ids=lambda kind: kind.__name__
)


def event(at_s, **fields):
    at = START + timedelta(seconds=at_s)
    return TelemetryEvent(**{"event_id": str(at_s), "timestamp": at, "event_type": EventType.DEBUG, "source": "s",
                             "message": "m", "metadata": None} | fields)  # fmt: skip


def metric(at_s, **fields):
    at = START + timedelta(seconds=at_s)
    return TelemetryMetric(**{"metric_id": str(at_s), "timestamp": at, "name": "n", "value": 1.5} | fields)


def made(make, tmp_path):
    return make() if make is MemoryStorage else make(tmp_path / "deep" / "telemetry")


def ids(data):
    return [each.event_id for each in data.events], [each.metric_id for each in data.metrics]


@BACKENDS
def test_what_is_stored_is_retrieved_in_its_order(make, tmp_path):
    storage = made(make, tmp_path)
    first = TelemetryData(
        [event(3, metadata={"a": [1, {"b": None}], "ü": "ß\n"}), event(1)], [metric(2, tags={"x": 1})]
    )
    storage.store(first)
    storage.store(TelemetryData([event(2)], [metric(5, unit="ms"), metric(4, value=math.inf)]))
    storage.store(TelemetryData())

    found = storage.retrieve()
    assert (["3", "1", "2"], ["2", "5", "4"]) == ids(found)
    assert (first.events, first.metrics) == (found.events[:2], found.metrics[:1])
    assert math.inf == found.metrics[2].value


@BACKENDS
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, (["0", "2", "4"], ["1", "3", "5"]), id="everything"),
        pytest.param({"limit": 3}, (["4"], ["3", "5"]), id="the newest over events and metrics together"),
        pytest.param({"limit": 0}, ([], []), id="none"),
        pytest.param({"limit": 99}, (["0", "2", "4"], ["1", "3", "5"]), id="more than there are"),
        pytest.param({"start_time": START + timedelta(seconds=4)}, (["4"], ["5"]), id="from a time on, inclusive"),
        pytest.param({"end_time": NAIVE + timedelta(seconds=1)}, (["0"], ["1"]), id="up to a naive time, which is UTC"),
        pytest.param({"start_time": START + timedelta(seconds=1), "end_time": START + timedelta(seconds=4), "limit": 2},
                     (["4"], ["3"]), id="the newest of a range"),
        pytest.param({"end_time": START - timedelta(days=1)}, ([], []), id="a time before all"),
    ],
)  # fmt: skip
def test_a_range_and_a_number(make, tmp_path, asked, expected):
    storage = made(make, tmp_path)
    storage.store(TelemetryData([event(0), event(2), event(4)], [metric(1), metric(3), metric(5)]))

    assert expected == ids(storage.retrieve(**asked))


@BACKENDS
def test_nothing_stored_is_nothing_retrieved_and_cleared_is_gone(make, tmp_path):
    storage = made(make, tmp_path)
    assert TelemetryData() == storage.retrieve()
    storage.clear()
    storage.store(TelemetryData([event(1)]))
    storage.clear()
    assert TelemetryData() == storage.retrieve()
    with pytest.raises(ValueError, match="limit must be 0 or more"):
        storage.retrieve(limit=-1)


def test_memory_makes_room_and_counts_what_went():
    storage = MemoryStorage(max_items=3)
    storage.store(TelemetryData([event(number) for number in range(5)]))
    storage.store(TelemetryData([event(5)]))

    assert (["3", "4", "5"], []) == ids(storage.retrieve())
    assert 3 == storage.dropped


# Files


@pytest.mark.parametrize("cut", [2, 20, 90])
def test_a_torn_last_line_is_skipped_counted_and_does_not_swallow_what_follows(tmp_path, caplog, cut):
    path = tmp_path / "t.jsonl"
    storage = FileStorage(path)
    storage.store(TelemetryData([event(1), event(2)]))
    os.truncate(path, path.stat().st_size - cut)
    before = ids(storage.retrieve()), storage.skipped_lines
    storage.store(TelemetryData([event(3)]))

    assert ((["1"], []), 1) == before
    assert (["1", "3"], []) == ids(storage.retrieve())
    assert "1 lines are not events or metrics and were skipped" in caplog.text


def test_a_last_line_that_lacks_its_end_only_counts(tmp_path):
    storage = FileStorage(tmp_path / "t")
    storage.store(TelemetryData([event(1)]))
    os.truncate(tmp_path / "t", (tmp_path / "t").stat().st_size - 1)
    storage.store(TelemetryData([event(2)]))

    assert (["1", "2"], []) == ids(storage.retrieve())
    assert 0 == storage.skipped_lines


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe", b"[]", b"7", b"{}", b'{"kind":"metric"}', b'{"kind":"event","timestamp":"never"}', b"{" * 9999],
)
def test_a_line_that_is_no_item_is_skipped_and_counted(tmp_path, line):
    path = tmp_path / "t.jsonl"
    storage = FileStorage(path)
    storage.store(TelemetryData([event(1)]))
    with path.open("ab") as file:
        file.write(line + b"\n")
    storage.store(TelemetryData([event(2)]))

    assert (["1", "2"], []) == ids(storage.retrieve())
    assert 1 == storage.skipped_lines


def test_a_full_disk_leaves_no_part_of_a_batch():
    full = FileStorage("/dev/full")

    with pytest.raises(OSError):
        full.store(TelemetryData([event(1)]))


def test_each_line_is_json_with_the_documented_names(tmp_path):
    FileStorage(tmp_path / "t").store(TelemetryData([event(1, metadata={"k": "v"})], [metric(2, unit="ms")]))
    first, second = map(json.loads, (tmp_path / "t").read_text().splitlines())

    assert {"kind": "event", "event_id": "1", "timestamp": "2025-06-01T00:00:01.000000+00:00", "event_type": "DEBUG",
            "source": "s", "message": "m", "metadata": {"k": "v"}} == first  # fmt: skip
    assert {"kind": "metric", "metric_id": "2", "timestamp": "2025-06-01T00:00:02.000000+00:00", "name": "n",
            "value": 1.5, "unit": "ms", "tags": None} == second  # fmt: skip


def test_the_database_answers_sql(tmp_path):
    DatabaseStorage(tmp_path / "t.db").store(
        TelemetryData([event(1, metadata={"k": "v"})], [metric(2, value=3.0, tags={"host": "a"})])
    )
    with closing(sqlite3.connect(tmp_path / "t.db")) as db:
        assert [("DEBUG", "s", "m", "v")] == db.execute(
            "select event_type, source, message, json_extract(metadata, '$.k') from events"
        ).fetchall()
        assert [("n", 3.0, '{"host":"a"}')] == db.execute("select name, value, tags from metrics").fetchall()


# Values


class Unprintable:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


def looped():
    loop = {}
    loop["loop"] = [loop]
    return loop


ODD = [
    pytest.param({"x": float("nan")}, id="NaN"),
    pytest.param({("a", 1): 2}, id="a key that is no text"),
    pytest.param({"x": looped()}, id="a value that holds itself"),
    pytest.param({"x": "\ud800"}, id="a lone surrogate"),
    pytest.param({"\ud800": 1}, id="a lone surrogate as key"),
    pytest.param({"x": 10**5000}, id="an integer too long to print"),
    pytest.param({"x": {"y": 10**5000}}, id="the same, nested"),
    pytest.param({"x": Unprintable()}, id="an object that cannot print itself"),
    pytest.param({"x": datetime(2025, 1, 1, tzinfo=UTC), "y": {1, 2}, "z": b"\xff"}, id="what JSON does not have"),
]


@pytest.mark.parametrize("metadata", ODD)
@pytest.mark.parametrize("make", [FileStorage, DatabaseStorage])
def test_odd_metadata_never_keeps_a_batch_from_being_stored(make, tmp_path, metadata):
    storage = make(tmp_path / "t")
    storage.store(TelemetryData([event(1, metadata=metadata)], [metric(1, tags=metadata)]))
    found = storage.retrieve()

    assert (["1"], ["1"]) == ids(found)
    assert [len(metadata)] * 2 == [len(found.events[0].metadata), len(found.metrics[0].tags)]


def through_avro(data):
    record = {"host": "h", "category": "telemetry", "observed_at": START, "monotonic_s": 1.0, "producer": "p",
              "epoch": "e", "sequence": 0, "duration_s": 0.0, "interval_s": 0.0}  # fmt: skip
    schema = catalog.schema("AppSample")
    made = avro_codec.record_bodies("shop", data)
    return [codec.Decoder(schema).decode(codec.encode(schema, record | each)) for each in made]


@pytest.mark.parametrize("metadata", ODD)
def test_odd_metadata_is_always_some_avro(metadata):
    [record] = through_avro(TelemetryData([event(1, metadata=metadata, message="\ud800")], [metric(1, tags=metadata)]))

    assert len(metadata) == len(record["events"][0]["metadata"]) == len(record["metrics"][0]["tags"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="null"),
        pytest.param(True, True, id="boolean"),
        pytest.param(2**63 - 1, 2**63 - 1, id="the largest long"),
        pytest.param(-(2**63), -(2**63), id="the least long"),
        pytest.param(2**63, "9223372036854775808", id="an integer beyond 63 bits is text"),
        pytest.param(1.5, 1.5, id="double"),
        pytest.param("text", "text", id="text"),
        pytest.param({"a": [1, None]}, '{"a":[1,null]}', id="a nested value is JSON text"),
        pytest.param([], "[]", id="an empty list too"),
    ],
)
def test_a_metadata_value_in_avro(value, expected):
    [record] = through_avro(TelemetryData([event(1, metadata={"k": value})]))
    found = record["events"][0]["metadata"]["k"]

    assert (expected, type(expected)) == (found, type(found))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text(), st.floats(allow_nan=False))
def test_any_item_reads_back_from_its_line_as_it_was(metadata, text, value):
    for each in (event(1, metadata=metadata, message=text), metric(2, tags=metadata, name=text, value=value)):
        line = json_codec.encode(each)
        assert "\n" not in line
        assert each == json_codec.decode(line)


def test_items_read_back_from_avro_as_they_were():
    data = TelemetryData([event(1, metadata={"a": 1, "b": None})], [metric(2, unit="ms", tags={"c": "d"}), metric(3)])
    [record] = through_avro(data)

    assert data.items == list(avro_codec.record_items(record))


def test_a_batch_too_large_for_kafka_is_several_records_in_order():
    large = TelemetryData([event(number, message="ü" * 500_000) for number in range(20)], [metric(1)])
    records = through_avro(large)

    assert 1 < len(records)
    assert [str(number) for number in range(20)] == [each["event_id"] for r in records for each in r["events"]]
    assert [[]] * (len(records) - 1) + [1] == [r["metrics"] and 1 for r in records]
    assert [] == avro_codec.record_bodies("shop", TelemetryData())
