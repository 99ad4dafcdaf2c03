"""What InfluxDB holds is what was on the topics: every measurement, any text, whatever dies or fills up in between."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from rackstream.cli import cli
from rackstream.topics import lag
from runtime.errors import Misconfigured, Reject, Retry
from runtime.settings import KafkaSettings
from schemas import catalog
from schemas.testing import make_raw_record, make_record
from sinks import datasets
from sinks.consuming import loop as batches
from sinks.influx import points as stored_points
from sinks.influx.client import InfluxClient
from sinks.influx.line_protocol import tag, timestamp_ns
from sinks.influx.setup import InfluxServer
from sinks.influx.sink import InfluxSink, RecordLines
from sinks.rows import Dataset
from sinks.settings import BatchLimits, InfluxSettings
from sinks.sink import Batch, Item
from tests.e2e.support import parts
from tests.e2e.support.influxdb import MARKS, Influx
from tests.e2e.support.kills import killed_under_load

pytestmark = MARKS
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def settings(influx: Influx, **values: Any) -> InfluxSettings:
    return InfluxSettings.read(
        _env_file=None, **{"url": influx.url, "database": "lab", "token": "user:pw", "api": "v2"} | values
    )


@contextmanager
def storing(influx: Influx, kafka: KafkaSettings, **values: Any) -> Iterator[None]:
    """The sink's loop on Kafka, in a thread."""
    stop = threading.Event()
    options = {"group": kafka.topic_prefix + "g", "limits": BatchLimits(max_records=50, max_age_s=0.1), "stop": stop}
    thread = threading.Thread(
        target=batches.run, args=(InfluxSink(settings(influx, **values)), kafka), kwargs=options, daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def anything(kind: Any, named: dict[str, Any]) -> Any:  # noqa: PLR0911  one return per Avro type
    """A value of an Avro type by chance, null among them."""
    if isinstance(kind, list):
        values = [anything(each, named) for each in kind if each != "null"]  # each, for its names count later on
        return None if len(values) < len(kind) and random.random() < 0.2 else random.choice(values)
    kind = named.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, str):
        some = {"long": random.randrange(-(2**62), 2**62), "double": random.uniform(-1e12, 1e12), "bytes": b"b",
                "string": f"a b,c=d\\é {random.randrange(10**6)}", "boolean": random.random() < 0.5}  # fmt: skip
        return some[kind]
    if "logicalType" in kind:
        return AT + timedelta(microseconds=random.randrange(10**9))
    if kind["type"] in ("record", "enum"):
        named[kind["name"]] = kind
    match kind["type"]:
        case "record":
            made = {field["name"]: anything(field["type"], named) for field in kind["fields"]}
            return made | {"devtype": random.choice(("nic", "disk"))} if "devtype" in made else made
        case "enum":
            return random.choice(kind["symbols"])
        case "array":
            return [anything(kind["items"], named) for _ in range(3)]
        case "map":
            return {"rack": "r,1", "empty": ""}
    raise AssertionError(kind)


def facts(dataset: Dataset, records: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What InfluxDB should hold of a topic's records, written down from rows: time and tags → fields."""
    found = {}
    for record in records:
        for row in dataset.rows(record):
            values = dict(zip(dataset.names, row, strict=True))
            if values.get("stale"):
                continue
            tags = tuple(None if values[each.name] is None else str(values[each.name]) for each in dataset.tags)
            fields = {
                column.name: 0 if values[column.name] is None and column.zero_if_unknown else values[column.name]
                for column in dataset.columns
                if column.in_lines and not column.is_tag and column.row_kind in (None, values.get("devtype"))
            }
            stored = {
                name: timestamp_ns(value) if isinstance(value, datetime) else value
                for name, value in fields.items()
                if value is not None
            }
            if stored:
                found[timestamp_ns(values["time"]), *tags] = stored
    return found


def held(influx: Influx, dataset: Dataset) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {}
    for row in influx.query(f'SELECT * FROM "{dataset.name}"'):
        key = (row.pop("time"), *(row.pop(each.name, None) or None for each in dataset.tags))
        assert key not in found
        assert row.pop("label_rack", "r,1") == "r,1"
        found[key] = {name: value for name, value in row.items() if value is not None}
    return found


@pytest.mark.kafka
def test_every_measurement_holds_what_its_topic_holds_and_a_second_run_changes_nothing(influx, kafka) -> None:
    random.seed(8)
    for alias in datasets.aliases():
        definition = catalog.schema(kafka.catalog[alias].schema).definition
        parts.publish(kafka, alias, *(anything(definition, {}) for _ in range(10)))
    topics = {alias: parts.records(kafka, alias) for alias in datasets.aliases()}
    expected = {each.name: facts(each, topics[each.alias]) for each in datasets.ALL}
    assert [] == [name for name, found in expected.items() if not found]
    with storing(influx, kafka):
        parts.until(lambda: all(len(held(influx, each)) >= len(expected[each.name]) for each in datasets.ALL))
    for each in datasets.ALL:
        assert expected[each.name] == held(influx, each), each.name

    again = [Item(alias, (alias, 0), at, record) for alias in topics for at, record in enumerate(topics[alias])]
    sink = InfluxSink(settings(influx))
    sink.write(Batch(tuple(again), {}))
    sink.close()
    for each in datasets.ALL:
        assert expected[each.name] == held(influx, each), each.name


def alert(sequence: int, text: str, label: str = "x") -> dict[str, Any]:
    where = {"host": "h", "rule": text, "component": text, "severity": "warning", "labels": {label: text}}
    what = {"transition": "raised", "started_at": AT, "text": text, "category": "c"}
    return make_record("Alert", id=str(sequence), observed_at=AT, epoch="e", **where, **what)


ODD = st.text(alphabet=st.sampled_from("ab,= \\\"'\n\r\t\0é😀#_\u2028")) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@given(st.lists(st.tuples(ODD, ODD), min_size=30, max_size=60))
@hypothesis(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_makes_another_line_or_changes_its_neighbours(
    influx_server: Influx, texts: list[tuple[str, str]]
) -> None:
    influx_server.query("DROP DATABASE odd")
    influx_server.query("CREATE DATABASE odd")
    chosen = settings(influx_server, database="odd")
    sink = InfluxSink(chosen)
    records = [alert(at, text, label) for at, (text, label) in enumerate(texts)]
    items = tuple(Item("alerts", ("a", 0), at, record) for at, record in enumerate(records))
    sink.write(Batch(items, {}))
    sink.close()
    assert [["alert"]] == [list(each.values()) for each in influx_server.query("SHOW MEASUREMENTS", db="odd")]
    rows = {row["id"]: row for row in influx_server.query('SELECT * FROM "alert"', db="odd")}
    assert {str(at) for at in range(len(texts))} == set(rows)
    for at, (text, label) in enumerate(texts):
        row = rows[str(at)]
        assert text == row["text"]
        assert as_read(text) == (row.get("component") or "")
        assert as_read(text) == (row.get(as_read(f"label_{label}")) or "")
        assert ("raised", timestamp_ns(AT)) == (row["transition"], row["time"])
    line_of, now = RecordLines(), timestamp_ns(AT)
    made = [stored_points.parse_line(line) for item in items for line in line_of(item)]
    assert sorted(made) == sorted(stored_points.stored_points(InfluxServer(chosen), "odd", "alert", now, now + 1)), (
        "for `replay --verify`"
    )


def as_read(text: str) -> str:
    """A tag as InfluxDB 1.8 gives it back: what `tag` writes, without the escapes."""
    written = tag(text)
    for each in ",= ":
        written = written.replace("\\" + each, each)
    return written


@pytest.mark.parametrize("size", [64 * 1024, 1_000_000])
def test_a_long_text_is_stored_as_a_field(influx, size: int) -> None:
    sink = InfluxSink(settings(influx))
    text = 'x\\" \n' * (size // 5)
    record = alert(0, "short") | {"text": text}
    sink.write(Batch((Item("alerts", ("a", 0), 0, record),), {}))
    sink.close()
    [row] = influx.query('SELECT "text" FROM "alert"')
    assert text == row["text"]


def test_a_tag_of_64_kib_is_refused_with_the_servers_reason_and_its_neighbours_are_stored(influx) -> None:
    sink = InfluxSink(settings(influx))
    records = [alert(0, "one"), alert(1, "y" * 64 * 1024), alert(2, "two")]
    with pytest.raises(Reject) as refused:
        sink.write(Batch(tuple(Item("alerts", ("a", 0), at, record) for at, record in enumerate(records)), {}))
    sink.close()
    assert {1} == set(refused.value.reasons)
    assert "max key length exceeded" in refused.value.reasons[1]
    assert {"one", "two"} == {row["rule"] for row in influx.query('SELECT * FROM "alert"')}


def test_doubles_of_any_size_are_stored_as_the_same_doubles(influx) -> None:
    """orjson spells them `1e16`, `5e-324`, …: one taken for an integer would give the field its type."""
    values = [1e16, 1e-7, 1.7976931348623157e308, 5e-324, -0.0, 1e22, -1.5e-300, 123456789012345680.0, 0.1, 4.0]
    chosen = settings(influx)
    sink = InfluxSink(chosen)
    records = [
        make_raw_record(
            "HostSample", at_s=n, host=f"double-{n}", observed_at=AT + timedelta(seconds=n), cpu_percent=value
        )
        for n, value in enumerate(values)
    ]
    items = tuple(Item("raw-host", ("raw-host", 0), n, record) for n, record in enumerate(records))
    sink.write(Batch(items, {}))
    sink.close()

    found = influx.query("SELECT cpu_percent FROM host WHERE host =~ /^double-/ GROUP BY host ORDER BY time")
    types = {each["fieldKey"]: each["fieldType"] for each in influx.query("SHOW FIELD KEYS FROM host")}

    assert "float" == types["cpu_percent"]
    assert values == [each["cpu_percent"] for each in sorted(found, key=lambda each: each["time"])]
    line_of = RecordLines()
    read = stored_points.stored_points(
        InfluxServer(chosen), "lab", "host", timestamp_ns(AT), timestamp_ns(AT + timedelta(seconds=60))
    )
    mine = [each for each in read if dict(each.tags)["host"].startswith("double-")]
    made = [stored_points.parse_line(line) for item in items for line in line_of(item) if line.startswith(b"host,")]
    assert made == sorted(mine, key=lambda each: each.at_ns)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_left_out_of_its_line(influx, value: float) -> None:
    sink = InfluxSink(settings(influx))
    record = make_raw_record("HostSample", category="host", load_1=value, load_5=0.5)
    sink.write(Batch((Item("raw-host", ("a", 0), 0, record),), {}))
    sink.close()
    [row] = influx.query("SELECT * FROM host")
    assert 0.5 == row["load_5"]
    assert row.get("load_1") is None


def fill(file: FileIO) -> None:
    while True:
        file.write(bytes(4096))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", tmp_path], capture_output=True)
    if done.returncode:
        pytest.skip("needs the right to mount a file system")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def test_a_full_disk_of_the_server_is_waited_out_and_nothing_is_lost(small_disk: Path) -> None:
    own = Influx(small_disk)
    own.start()
    try:
        own.query("CREATE DATABASE lab")
        sink = InfluxSink(settings(own))
        first, second = ([alert(at + 500 * half, f"{at:05d}" * 20) for at in range(500)] for half in (0, 1))
        sink.write(Batch(tuple(Item("alerts", ("a", 0), at, each) for at, each in enumerate(first)), {}))
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            fill(file)
        later = Batch(tuple(Item("alerts", ("a", 0), at, each) for at, each in enumerate(second)), {})
        with pytest.raises(Retry, match="no space left on device"):
            sink.write(later)
        filler.unlink()
        own.kill()  # version 1.8 keeps its write error until it is started again
        own.start()
        sink.write(later)
        sink.close()
        assert {str(at) for at in range(1000)} == {row["id"] for row in own.query('SELECT * FROM "alert"')}
    finally:
        own.kill()


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("kills", "alone"),
    [
        pytest.param(3, True, id="3, replaced at once"),
        pytest.param(20, False, id="20, each replaced when its group has missed it", marks=pytest.mark.soak),
    ],
)
def test_a_sink_killed_under_load_stores_each_fact_once(
    influx: Influx, kafka: KafkaSettings, kills: int, *, alone: bool
) -> None:
    expected = killed_under_load(kafka, lambda: part(influx, kafka, alone=alone), lambda: points(influx), kills)
    process = part(influx, kafka, alone=alone)
    try:
        parts.until(lambda: points(influx) >= len(expected), timeout_s=120)
    finally:
        process.terminate()
        process.wait(30)
    found = [(row["host"], row["load_1"]) for row in influx.query("SELECT host, load_1 FROM host")]
    print(
        f"{kills} kills: {len(expected)} facts, {len(expected - set(found))} lost, {len(found) - len(set(found))} twice"
    )
    assert len(expected) == len(found)
    assert expected == set(found)


def part(influx: Influx, kafka: KafkaSettings, *, alone: bool) -> subprocess.Popen[bytes]:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "RACKSTREAM_TOPIC_PREFIX": kafka.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(kafka.data_dir), "BATCH_MAX_SEC": "0.05",
    }  # fmt: skip
    code = (
        "import threading; from runtime.settings import KafkaSettings; from sinks.consuming import loop;"
        "from sinks.influx import InfluxSink; from sinks.settings import BatchLimits, InfluxSettings;"
        f"loop.run(InfluxSink(InfluxSettings.read()), KafkaSettings.read(), group='{kafka.topic_prefix}g',"
        f"limits=BatchLimits(max_records=100, max_age_s=0.05), stop=threading.Event(), static_member={alone})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environment | influx_environment(influx),
        cwd=Path(__file__).parents[3],
    )


def points(influx: Influx) -> int:
    return sum(row["count"] for row in influx.query("SELECT count(load_1) FROM host"))


def influx_environment(influx: Influx, **values: str) -> dict[str, str]:
    return {"INFLUX_URL": influx.url, "INFLUX_DB": "lab", "INFLUX_TOKEN": "user:pw",
            "RACKSTREAM_INFLUX_API": "v2"} | values  # fmt: skip


def test_the_set_up_creates_what_is_missing_with_the_retention_advised_and_devices_go_there(influx: Influx) -> None:
    influx.query("DROP DATABASE fleet")
    environment = influx_environment(influx, INFLUX_DB="fleet", RACKSTREAM_INFLUX_DEVICES_DB="fleet/devices")
    missing = CliRunner().invoke(cli, ["sink", "influx", "--check"], env=environment)
    assert isinstance(missing.exception, Misconfigured)
    assert "missing: fleet, fleet/devices; `rackstream sink influx --set-up` creates it" == str(missing.exception)

    for words in ("fleet: created, retention: 30 days\nfleet/devices: created, retention: 7 days",
                  "fleet: exists, retention: 30 days\nfleet/devices: exists, retention: 7 days"):  # fmt: skip
        done = CliRunner().invoke(cli, ["sink", "influx", "--set-up"], env=environment)
        assert 0 == done.exit_code, done.output
        assert f"{words}\nthe token may write\n" == done.output

    client = InfluxClient(settings(influx, database="fleet", devices_database="fleet/devices"))
    lines = [f"{name},VMID=1 f={at}i {timestamp_ns(datetime.now(UTC)) + at}".encode()
             for at in range(10) for name in ("vm_devices", "vm_totals")]  # fmt: skip
    lines[4] = b"vm_devices,VMID=1 f= 1"
    assert {4} == set(client.write(lines))
    client.close()
    assert 9 == len(influx.query('SELECT f FROM "devices"."vm_devices"', db="fleet"))
    assert 10 == len(influx.query("SELECT f FROM vm_totals", db="fleet"))
    assert [] == influx.query("SELECT f FROM vm_devices", db="fleet")


def test_a_database_that_exists_keeps_its_retention(influx: Influx) -> None:
    [place] = InfluxServer(settings(influx)).write_targets(create=True)
    assert (True, False, 0) == (place.exists, place.created, place.retention_days)


def test_the_wrong_endpoint_is_named_by_the_check(influx: Influx) -> None:
    with pytest.raises(Misconfigured, match="is InfluxDB 1: set RACKSTREAM_INFLUX_API=v2"):
        InfluxServer(settings(influx, api="v3")).write_targets(create=False)


@pytest.mark.kafka
@pytest.mark.parametrize("away_s", [8, pytest.param(60, marks=pytest.mark.soak)])
def test_a_server_that_is_away_costs_nothing_but_lag_and_is_said_once(
    influx: Influx, kafka: KafkaSettings, away_s: int
) -> None:
    log = kafka.data_dir / "logs" / "sink.log"
    made = 0

    def publish(count: int) -> None:
        nonlocal made
        parts.publish(
            kafka, "raw-host",
            *(make_raw_record("HostSample", at_s=n, host=f"h{n % 4}", category="host", load_1=float(n))
              for n in range(made, made + count)),
        )  # fmt: skip
        made += count

    sink = parts.part(kafka, "sink", "sink", "influx", **influx_environment(influx))
    with parts.running(sink) as supervisor:
        publish(200)
        parts.until(lambda: points(influx) == made)
        process = supervisor.parts["sink"].process
        influx.kill()
        until = time.monotonic() + away_s
        while time.monotonic() < until:
            publish(100)
            time.sleep(0.5)
        assert made - 200 <= behind(kafka)
        assert 1 == log.read_text().count("retrying write")
        influx.start()
        parts.until(lambda: points(influx) == made, timeout_s=90)
        parts.until(lambda: behind(kafka) == 0)
        assert process is supervisor.parts["sink"].process
        assert process is not None
        assert process.poll() is None
    assert 1 == log.read_text().count("write succeeded after retries")
    found = [(row["host"], row["load_1"]) for row in influx.query("SELECT host, load_1 FROM host")]
    assert sorted((f"h{n % 4}", n) for n in range(made)) == sorted(found)


def behind(kafka: KafkaSettings) -> int:
    """What `rackstream sink influx` has not committed."""
    return lag.lag(kafka, "rackstream-influx", ["raw-host"])
