from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from schemas import catalog, codec
from sinks import datasets
from sinks.files import formats
from sinks.influx.line_protocol import LineEncoder
from sinks.rows import Dataset
from sinks.sink import Item

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NIC = ["rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops"]
DISK = ["rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"]
TOTALS = (  # noqa: SIM905  as the seed prints them
    "net_rxbytes net_rxpackets net_rxerrors net_rxdrops net_txbytes net_txpackets net_txerrors net_txdrops "
    "disk_rd_req disk_rd_bytes disk_wr_reqs disk_wr_bytes disk_errors memactual memrss memavailable memusable "
    "memswap_in memswap_out memmajor_fault memminor_fault memdisk_cache timeusr timesys cpus cputime state"
).split()


def example(kind: Any, named: dict[str, Any], full: bool) -> Any:  # noqa: FBT001, PLR0911
    """A value of an Avro type: everything set and each array with two items, or as empty as it may be."""
    if isinstance(kind, list):
        return example(next(each for each in kind if each != "null"), named, full) if full else None
    kind = named.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, str):
        return {"string": "text", "long": 7, "double": 1.5, "boolean": True, "bytes": b"b"}[kind]
    if "logicalType" in kind:
        return AT
    match kind["type"]:
        case "record":
            named[kind["name"]] = kind
            return {field["name"]: example(field["type"], named, full) for field in kind["fields"]}
        case "enum":
            named[kind["name"]] = kind
            return kind["symbols"][0]
        case "array":
            return [example(kind["items"], named, full) for _ in range(2)] if full else []
        case "map":
            return {"rack": "r1"} if full else {}
    raise AssertionError(kind)


def record(alias: str, *, full: bool = True) -> dict[str, Any]:
    """A record as it comes from Kafka."""
    schema = catalog.schema(catalog.load()[alias].schema)
    made = example(schema.definition, {}, full)
    return codec.Decoder(schema).decode(codec.encode(schema, made))


def as_dicts(dataset: Dataset, source: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(dataset.names, row, strict=True)) for row in dataset.rows(source)]


def in_lines(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.columns if column.in_lines and not column.is_tag]


TYPES = {"string": str, "long": int, "double": float, "boolean": bool, "timestamp": datetime}


@pytest.mark.parametrize("dataset", datasets.ALL, ids=lambda dataset: dataset.name)
def test_every_value_has_the_type_of_its_column(dataset: Dataset) -> None:
    rows = list(dataset.rows(record(dataset.alias)))
    assert rows
    for row in rows:
        time, *values, labels = row
        assert time == AT
        assert labels == ({} if dataset.name == "producer" else {"rack": "r1"})
        for column, value in zip(dataset.columns, values, strict=True):
            of_another_kind = column.row_kind is not None and column.row_kind != row[dataset.names.index("devtype")]
            no_sequence = column.name == "sequence" and dataset.name in ("target", "vm_power")
            assert isinstance(value, TYPES[column.type]) or of_another_kind or no_sequence, column.name


@pytest.mark.parametrize("dataset", datasets.ALL, ids=lambda dataset: dataset.name)
def test_a_record_with_nothing_in_it_makes_rows_without_error(dataset: Dataset) -> None:
    for row in dataset.rows(record(dataset.alias, full=False)):
        assert len(row) == len(dataset.names)


@pytest.mark.parametrize("alias", ["raw-libvirt", "raw-redfish", "raw-host", "raw-app", "vm-features", "vm-totals",
                                   "device-rates", "power", "alerts", "state-health", "state-targets",
                                   "heartbeats"])  # fmt: skip
def test_every_topic_of_the_spine_has_a_dataset(alias: str) -> None:
    assert datasets.for_topic(alias)
    assert alias in datasets.aliases()


def test_dataset_names_and_columns_are_unique() -> None:
    assert len({each.name for each in datasets.ALL}) == len(datasets.ALL)
    for each in datasets.ALL:
        assert len(set(each.names)) == len(each.names)
        assert datasets.find(each.name) is each
    with pytest.raises(KeyError, match="there are: vm_metrics, "):
        datasets.find("vm_metric")


def test_the_measurements_of_seed_003_have_exactly_its_fields_in_its_order() -> None:
    assert in_lines(datasets.find("vm_totals")) == TOTALS
    assert in_lines(datasets.find("vm_devices")) == NIC + DISK
    metrics = ["state", "cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns"]
    assert in_lines(datasets.find("vm_metrics")) == metrics
    features = in_lines(datasets.find("vm_features"))
    assert features[:2] == ["memory_rate_kb_per_sec", "memory_angle_deg"]
    assert set(features[2:]) == {
        f"{name}_{what}"
        for name in TOTALS
        for what in ("rate", "angle")
        if name not in ("memactual", "memrss", "memavailable", "memusable", "memdisk_cache", "cpus", "state")
    }


def test_a_vm_makes_one_row_and_each_of_its_devices_one() -> None:
    source = record("raw-libvirt")
    source["domains"] = source["domains"][:1]
    domain = source["domains"][0]
    domain |= {"vmid": "12", "name": "one-12", "uuid": "u", "state": 3, "stale": False}
    domain["nics"] = [{"device": "vnet0", **{name: at for at, name in enumerate(NIC)}}]
    domain["disks"] = [{"device": "vda", **dict.fromkeys(DISK)}]
    source["host"] = "kvm-1"

    [metrics] = as_dicts(datasets.find("vm_metrics"), source)
    assert metrics["state"] == "paused"
    tags = {"time": AT, "VMID": "12", "name": "one-12", "uuid": "u", "host": "kvm-1"}
    assert tags.items() <= metrics.items()

    nic, disk = as_dicts(datasets.find("vm_devices"), source)
    assert (tags | {"devtype": "nic", "device": "vnet0", "txdrops": 7, "wr_bytes": None}).items() <= nic.items()
    assert (tags | {"devtype": "disk", "device": "vda", "rxbytes": None, "wr_bytes": None}).items() <= disk.items()
    assert nic["epoch"] == "text"
    assert nic["sequence"] == 7


@pytest.mark.parametrize(
    ("rpm", "percent", "expected"),
    [
        pytest.param(4200.0, None, (4200.0, "RPM"), id="rpm"),
        pytest.param(None, 35.0, (35.0, "Percent"), id="percent"),
        pytest.param(0.0, None, (0.0, "RPM"), id="a fan that stands still"),
        pytest.param(None, None, (None, None), id="no reading"),
    ],
)
def test_a_fan_row_has_the_reading_and_its_units(rpm: float | None, percent: float | None, expected: Any) -> None:
    source = record("raw-redfish")
    source["fans"] = [source["fans"][0] | {"speed_rpm": rpm, "speed_percent": percent}]
    [row] = as_dicts(datasets.find("redfish_fan"), source)
    assert (row["reading_rpm"], row["reading_units"]) == expected


def test_controllers_of_one_id_in_two_storages_are_two_rows() -> None:
    source = record("raw-redfish")
    one, two = source["storage_controllers"]
    one |= {"controller_id": "0", "storage_id": "DA000000"}
    two |= {"controller_id": "0", "storage_id": "DA00001D"}
    dataset = datasets.find("redfish_storage_controller")
    assert ["DA000000", "DA00001D"] == [row["storage_id"] for row in as_dicts(dataset, source)]
    assert len({dataset.identity(row) for row in dataset.rows(source)}) == 2


@pytest.mark.parametrize(
    ("name", "array", "tags"),
    [
        ("redfish_processor", "processors", ["host", "system_id", "processor_id"]),
        ("redfish_memory", "dimms", ["host", "system_id", "memory_id"]),
        ("redfish_interface", "interfaces", ["host", "system_id", "chassis_id", "interface_id"]),
        ("redfish_storage_controller", "storage_controllers",
         ["host", "system_id", "chassis_id", "storage_id", "controller_id"]),
        ("redfish_drive", "drives", ["host", "system_id", "chassis_id", "storage_id", "drive_id"]),
    ],
)  # fmt: skip
def test_a_part_of_a_server_makes_one_row_with_its_scalars(name: str, array: str, tags: list[str]) -> None:
    source = record("raw-redfish")
    dataset = datasets.find(name)
    assert tags == [column.name for column in dataset.tags]
    for part, row in zip(source[array], as_dicts(dataset, source), strict=True):
        scalars = {field: value for field, value in part.items() if not isinstance(value, list | dict)}
        assert scalars.items() <= row.items()


def test_cache_metrics_are_columns_and_lists_are_none() -> None:
    assert "cache_metrics_hit_ratio" in datasets.find("redfish_processor").names
    assert "allowed_speeds_mhz" not in datasets.find("redfish_memory").names


def test_an_unknown_libvirt_state_is_a_row_all_the_same() -> None:
    source = record("raw-libvirt")
    source["domains"][0]["state"] = 99
    assert as_dicts(datasets.find("vm_metrics"), source)[0]["state"] == "unknown"


def test_two_transitions_of_one_alert_at_one_time_are_two_facts() -> None:
    alert = datasets.find("alert")
    first, second = record("alerts"), record("alerts") | {"revision": 8}
    [one], [two] = alert.rows(first), alert.rows(second)
    assert alert.identity(one) != alert.identity(two)


def test_a_change_of_health_is_one_row_with_its_components_as_columns() -> None:
    source = record("state-health") | {"overall": "critical"}
    source["thermal"] |= {"status": "critical", "failed_fans": 2}
    [row] = as_dicts(datasets.find("health"), source)
    expected = {"overall": "critical", "thermal_status": "critical", "thermal_failed_fans": 2, "alerts": 2}
    assert expected.items() <= row.items()
    assert [column.name for column in datasets.find("health").tags] == ["host"]


def test_a_host_without_cpu_times_has_null_columns() -> None:
    source = record("raw-host") | {"cpu": None}
    [row] = as_dicts(datasets.find("host"), source)
    assert row["cpu_user_s"] is None
    assert row["memory_total"] == 7


def app_record() -> dict[str, Any]:
    source = record("raw-app") | {"host": "web-1", "source": "shop", "producer": "app-shop-0@web-1"}
    event = {"event_id": "e1", "timestamp": AT, "event_type": "ERROR", "source": "billing", "message": "not charged",
             "metadata": {"order": 17, "items": '["cup"]'}}  # fmt: skip
    metric = {"metric_id": "m1", "timestamp": AT, "name": "order", "value": 2.5, "unit": "ms", "tags": {"ok": True}}
    later = AT + timedelta(seconds=9)
    source["events"] = [event, event | {"event_id": "e2", "metadata": {}, "timestamp": later}]
    source["metrics"] = [metric, metric | {"metric_id": "m2"}]
    source["executions"] = source["executions"][:1]
    return source


def test_an_event_is_a_row_at_its_own_time_with_its_application_and_its_component() -> None:
    first, second = as_dicts(datasets.find("app_event"), app_record())
    assert {
        "time": AT, "host": "web-1", "app": "shop", "source": "billing", "event_type": "ERROR", "event_id": "e1",
        "message": "not charged", "metadata": '{"order":17,"items":"[\\"cup\\"]"}',
    }.items() <= first.items()  # fmt: skip
    assert (AT + timedelta(seconds=9), "e2", None) == (second["time"], second["event_id"], second["metadata"])
    assert "timestamp" not in first


def test_two_metrics_of_one_name_and_time_are_two_facts() -> None:
    metric = datasets.find("app_metric")
    one, two = metric.rows(app_record())
    assert metric.identity(one) != metric.identity(two)
    first, _ = as_dicts(metric, app_record())
    assert {"app": "shop", "name": "order", "value": 2.5, "unit": "ms", "tags": '{"ok":true}'}.items() <= first.items()


def test_execution_statistics_are_a_row_of_their_process() -> None:
    [row] = as_dicts(datasets.find("app_execution"), app_record())
    assert {"app": "shop", "producer": "app-shop-0@web-1", "commands_executed": 7}.items() <= row.items()
    assert row["total_execution_time"] == 1.5


def test_an_applications_rows_as_lines_and_in_files(tmp_path: Path) -> None:
    source = app_record()
    source["labels"] = {"rack": "r1"}
    event, metric, execution = (
        LineEncoder(dataset)(next(iter(dataset.rows(source)))).decode() for dataset in datasets.for_topic("raw-app")
    )
    ns = 1767323045678901000
    tags = "host=web-1,app=shop"
    assert event == (
        f'app_event,{tags},source=billing,event_type=ERROR,event_id=e1,label_rack=r1 message="not charged",'
        rf'metadata="{{\"order\":17,\"items\":\"[\\\"cup\\\"]\"}}" {ns}'
    )
    assert metric == (
        f'app_metric,{tags},name=order,metric_id=m1,label_rack=r1 value=2.5,unit="ms",tags="{{\\"ok\\":true}}" {ns}'
    )
    assert execution.startswith(f"app_execution,{tags},producer=app-shop-0@web-1,label_rack=r1 commands_executed=7i,")

    made, refused = formats.rows_by_file([Item("raw-app", ("fleet.raw.app", 0), 0, source)])
    assert not refused
    names = [dataset.name for dataset, hour in made if hour == "date=2026-01-02/hour=03"]
    assert names == ["app_event", "app_metric", "app_execution"]
    for dataset, hour in made:
        table = formats.arrow_table(dataset, made[dataset, hour])
        parquet.write_table(table, tmp_path / dataset.name)
        assert parquet.read_table(tmp_path / dataset.name).to_pylist() == table.to_pylist()
        assert len(table) == formats.json_lines(dataset, made[dataset, hour]).count(b"\n")
