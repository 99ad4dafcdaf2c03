"""The InfluxDB sink against a real InfluxDB 1.8.10, found on PATH or by RACKSTREAM_INFLUXD."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime import kafka as clients
from runtime.errors import Misconfigured, Reject, Retry
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import make_record
from sinks import datasets
from sinks.consuming import loop as batches
from sinks.influx.client import InfluxClient
from sinks.influx.line_protocol import timestamp_ns
from sinks.influx.sink import InfluxSink
from sinks.settings import BatchLimits, InfluxSettings
from sinks.sink import Batch, Item
from tests.e2e.support.influxdb import MARKS, Influx

pytestmark = MARKS
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def settings(influx: Influx, **values: Any) -> InfluxSettings:
    return InfluxSettings.read(_env_file=None, url=influx.url, database="lab", token="user:pw", api="v2", **values)


@pytest.fixture
def sink(influx: Influx) -> Iterator[InfluxSink]:
    made = InfluxSink(settings(influx, max_lines=50))
    yield made
    made.close()


def counters(names: str) -> dict[str, int | None]:
    return {name: random.choice([None, 0, random.randrange(2**62)]) for name in names.split()}


NIC = "rxbytes rxpackets rxerrors rxdrops txbytes txpackets txerrors txdrops"
DISK = "rd_req rd_bytes wr_reqs wr_bytes errors"


def libvirt(sequence: int, vms: int = 10) -> dict[str, Any]:
    """A poll of `vms` VMs with 2 NICs and 3 disks each."""
    domains = [
        {"vmid": str(vm), "name": f"one-{vm}, a=b é\\", "uuid": f"u-{vm}", "state": 1, "stale": False, "cpus": 4,
         "memory_max_kb": 2048, "memory_used_kb": 1024 + vm, "cputime": None,
         "nics": [{"device": f"eth{at}", **counters(NIC)} for at in range(2)],
         "disks": [{"device": f"vd{at}", **counters(DISK)} for at in range(3)]}
        for vm in range(vms)
    ]  # fmt: skip
    return header(sequence) | {"domains": domains}


def header(sequence: int) -> dict[str, Any]:
    return {"host": "kvm 1", "epoch": "e", "sequence": sequence, "labels": {"rack": "r,1"},
            "observed_at": AT + timedelta(seconds=sequence)}  # fmt: skip


def of_each_vm(sequence: int, dataset: str, schema: str) -> dict[str, Any]:
    """A derived record of 10 VMs, every field of the dataset set or unknown by chance."""
    kinds = {"long": lambda: random.randrange(2**50), "double": lambda: random.uniform(-1e12, 1e12),
             "string": lambda: "text", "boolean": lambda: False}  # fmt: skip
    fields = [
        column
        for column in datasets.find(dataset).columns
        if not column.is_tag and column.name not in ("epoch", "sequence")
    ]
    return make_record(schema) | header(sequence) | {
        "vms": [
            {"vmid": str(vm), "name": f"one-{vm}", "uuid": f"u-{vm}",
             **{field.name: random.choice([None, kinds[field.type]()]) for field in fields}}
            for vm in range(10)
        ]
    }  # fmt: skip


def batch(*records: tuple[str, dict[str, Any]]) -> Batch:
    items = [Item(alias, (alias, 0), offset, record) for offset, (alias, record) in enumerate(records)]
    return Batch(tuple(items), {(each.alias, 0): (0, 1) for each in items})


def expected(records: Batch, name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What InfluxDB should hold: tags and time → fields; written down from the records, not from the lines."""
    dataset = datasets.find(name)
    found = {}
    for held in records.items:
        for row in dataset.rows(held.record) if held.alias == dataset.alias else ():
            values = dict(zip(dataset.names, row, strict=True))
            tags = tuple(values[tag.name].rstrip("\\") for tag in dataset.tags)
            fields = {
                column.name: 0 if values[column.name] is None and column.zero_if_unknown else values[column.name]
                for column in dataset.columns
                if column.in_lines and not column.is_tag and column.row_kind in (None, values.get("devtype"))
            }
            found[timestamp_ns(values["time"]), *tags] = {k: v for k, v in fields.items() if v is not None}
    return found


def actual(influx: Influx, name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    dataset = datasets.find(name)
    tags = [each.name for each in dataset.tags]
    rows = influx.query(f'SELECT * FROM "{name}"')
    found = {}
    for row in rows:
        key = (row.pop("time"), *(row.pop(tag) for tag in tags))
        assert key not in found
        assert row.pop("label_rack") == "r,1"
        found[key] = {name: value for name, value in row.items() if value is not None}
    return found


FOUR = ("vm_metrics", "vm_features", "vm_devices", "vm_totals")


def cycle(*sequences: int) -> Batch:
    return batch(
        *(("raw-libvirt", libvirt(sequence)) for sequence in sequences),
        *(("vm-totals", of_each_vm(sequence, "vm_totals", "VmTotals")) for sequence in sequences),
        *(("vm-features", of_each_vm(sequence, "vm_features", "VmFeatures")) for sequence in sequences),
    )


def test_the_four_measurements_read_back_equal_and_writing_twice_changes_nothing(influx, sink) -> None:
    random.seed(3)
    records = cycle(0, 1, 2)
    sink.write(records)
    for name in FOUR:
        assert actual(influx, name) == expected(records, name)
    assert sum(len(actual(influx, name)) for name in FOUR) == 3 * 80
    sink.write(records)
    for name in FOUR:
        assert actual(influx, name) == expected(records, name)


def test_seed_003s_query_finds_the_network_counters(influx, sink) -> None:
    sink.write(cycle(0))
    rows = influx.query("SELECT rxbytes, txbytes FROM vm_devices WHERE devtype='nic' AND device='eth0'")
    assert len(rows) == 10


@pytest.mark.parametrize("text", ["plain", "a,b c=d", "back\\slash", "back\\,slash", 'say "hi"', "é😀", "tab\tnl\nend"])
def test_text_reads_back_from_tags_and_fields(influx, sink, text) -> None:
    alert = make_record("Alert", host=text, rule="r", component=text, severity="warning", id="1", transition="raised",
                 value=1.5, text=text, started_at=AT, observed_at=AT, epoch="e", labels={text: text})  # fmt: skip
    sink.write(batch(("alerts", alert)))
    [row] = influx.query('SELECT * FROM "alert"')
    tag = text.replace("\n", "\\n").replace("\t", "\\t").replace("\\,", "\\\\,")
    assert (row["text"], row["host"], row[f"label_{tag}"]) == (text, tag, tag)
    assert row["started_at"] == timestamp_ns(AT)


def test_a_type_conflict_is_refused_with_its_record_and_the_good_lines_stored(influx, sink) -> None:
    client = InfluxClient(settings(influx))
    # Of the same week: version 1 compares types within a shard.
    assert client.write([f"vm_metrics,VMID=x cpu_count=1.5 {timestamp_ns(AT)}".encode()]) == {}
    records = batch(
        ("raw-libvirt", libvirt(0)), ("vm-totals", of_each_vm(0, "vm_totals", "VmTotals")), ("raw-libvirt", libvirt(1))
    )
    with pytest.raises(Reject, match="field type conflict") as refused:
        sink.write(records)
    assert set(refused.value.reasons) == {0, 2}
    assert "line: vm_metrics,VMID=0," in refused.value.reasons[0]
    assert actual(influx, "vm_devices") == expected(records, "vm_devices")
    assert actual(influx, "vm_totals") == expected(records, "vm_totals")
    client.close()


def test_a_malformed_value_is_refused_alone(influx) -> None:
    client = InfluxClient(settings(influx))
    lines = [f"m,n={at} f={at}i {at}".encode() for at in range(100)]
    lines[41] = b"m,n=41 f= 41"
    lines[77] = b"m,n=77 f=99999999999999999999i 77"
    refused = client.write(lines)
    assert set(refused) == {41, 77}
    assert "missing field value" in refused[41]
    assert {row["f"] for row in influx.query("SELECT f FROM m")} == set(range(100)) - {41, 77}
    client.close()


def test_a_stopped_server_is_tried_again_and_then_has_everything(influx, sink) -> None:
    records = cycle(0)
    influx.kill()
    with pytest.raises(Retry, match="not reached"):
        sink.write(records)
    influx.start()
    sink.write(records)
    for name in FOUR:
        assert actual(influx, name) == expected(records, name)


def test_lines_acknowledged_survive_a_kill_of_the_server(influx, sink) -> None:
    records = cycle(*range(20))
    sink.write(records)
    influx.kill()
    influx.start()
    assert actual(influx, "vm_devices") == expected(records, "vm_devices")


@pytest.mark.kafka
def test_from_kafka_every_record_is_stored_though_the_server_dies_in_between(influx, kafka: KafkaSettings) -> None:
    publisher = clients.KafkaPublisher(kafka, "test")
    topic = kafka.catalog["raw-host"]
    for sequence in range(1000):
        record = header(sequence) | {"host": f"h{sequence % 4}", "category": "host", "monotonic_s": 1.0,
                                     "producer": "p", "duration_s": 0.1, "interval_s": 1.0, "load_1": 0.5}  # fmt: skip
        value = codec.encode(catalog.schema("HostSample"), record)
        publisher.send(topic.name, topic.key_of(record), value)
    assert publisher.flush(20) == 0
    stop, sink = threading.Event(), InfluxSink(settings(influx))
    thread = threading.Thread(
        target=batches.run,
        args=(sink, kafka),
        kwargs={"group": "influx", "limits": BatchLimits(max_records=20, max_age_s=0.1), "stop": stop},
    )
    thread.start()
    try:
        for _ in range(300):
            if influx.query("SELECT load_1 FROM host LIMIT 1"):
                break
            time.sleep(0.02)
        influx.kill()
        time.sleep(1)
        influx.start()
        for _ in range(900):
            [row] = influx.query("SELECT count(load_1) FROM host") or [{"count": 0}]
            if row["count"] == 1000:
                break
            time.sleep(0.1)
        assert row["count"] == 1000
    finally:
        stop.set()
        thread.join(30)


def test_a_wrong_database_is_named(influx) -> None:
    client = InfluxClient(settings(influx).model_copy(update={"database": "typo"}))
    with pytest.raises(Misconfigured, match=r"'typo'.*INFLUX_DB"):
        client.write([b"m f=1i 1"])
    client.close()


def test_the_v3_endpoint_of_an_old_server_is_named(influx) -> None:
    client = InfluxClient(settings(influx).model_copy(update={"api": "v3"}))
    with pytest.raises(Misconfigured, match="RACKSTREAM_INFLUX_API=v2"):
        client.write([b"m f=1i 1"])
    client.close()


def test_gzip_bodies_are_understood(influx) -> None:
    client = InfluxClient(settings(influx, compression="gzip"))
    assert client.write([b"m f=1i 1", b"m f=2i 2"]) == {}
    assert len(influx.query("SELECT f FROM m")) == 2
    client.close()
