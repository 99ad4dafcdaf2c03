"""The dashboard asks for what is stored. Offline: its queries run on the SQL engine that InfluxDB 3 is built on."""

import json
import re
from datetime import datetime
from pathlib import Path

import datafusion
import pyarrow as pa
import pytest
import yaml

from sinks import datasets

PROVISIONED = Path(__file__).resolve().parents[2] / "compose/grafana"
[SOURCE] = yaml.safe_load((PROVISIONED / "provisioning/datasources/influxdb.yaml").read_text())["datasources"]
DASHBOARD = json.loads((PROVISIONED / "dashboards/fleet.json").read_text())
QUERIES = [
    pytest.param(panel, target, id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]

AT = datetime(2026, 1, 1, 12)  # noqa: DTZ001  Arrow's timestamps have no zone, as InfluxDB's


def expand(sql):
    """Grafana's macros as its InfluxDB data source writes them."""
    bins = r"date_bin(interval '5 second', \1, timestamp '1970-01-01T00:00:00Z')"
    sql = re.sub(r"\$__dateBin\((\w+)\)", bins, sql)
    return re.sub(r"\$__timeFilter\((\w+)\)", r"\1 >= '2026-01-01T00:00:00Z' AND \1 <= '2026-01-02T00:00:00Z'", sql)


@pytest.fixture(scope="module")
def influx():
    """InfluxDB 3's SQL engine over a table for each dataset, as its lines make it; one row in each."""
    fields = {"long": 7, "double": 7.0, "boolean": True, "timestamp": 7, "string": "x"}
    context = datafusion.SessionContext()
    for dataset in datasets.ALL:
        columns = {"time": pa.array([AT], pa.timestamp("ns"))}
        for column in dataset.columns:
            if column.tag:
                columns[column.name] = pa.array(["7"]).dictionary_encode()
            elif column.in_lines:
                columns[column.name] = pa.array([fields[column.type]])
        context.from_arrow(pa.table(columns), name=dataset.name)
    return context


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_a_query_names_only_measurements_and_fields_there_are(influx, panel, target):
    found = influx.sql(expand(target["rawSql"])).to_arrow_table()

    assert 1 == found.num_rows
    if target["format"] == "time_series":
        assert "time" == found.column_names[0]
        assert any(pa.types.is_floating(each) or pa.types.is_integer(each) for each in found.schema.types)
        assert "timeseries" == panel["type"]


@pytest.mark.parametrize("wrong", ["SELECT watts FROM power", "SELECT time FROM redfish_thermal"])
def test_a_query_that_names_another_is_caught(influx, wrong):
    with pytest.raises(Exception, match=r"No field named watts|redfish_thermal' not found"):
        influx.sql(wrong).to_arrow_table()


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_asks_the_provisioned_data_source(panel):
    assert {(SOURCE["type"], SOURCE["uid"])} == {
        (each["datasource"]["type"], each["datasource"]["uid"]) for each in [panel, *panel["targets"]]
    }


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len(DASHBOARD["panels"]) == len({panel["id"] for panel in DASHBOARD["panels"]})
    assert all(0 <= x < 24 for x, _ in cells)
