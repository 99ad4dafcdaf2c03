"""The dashboards ask for what is stored. Offline: its queries run on the SQL engine that InfluxDB 3 is built on."""

import json
import re
from datetime import datetime
from pathlib import Path

import datafusion
import pyarrow as pa
import pytest
import yaml

from runtime import metrics
from sinks import datasets
from tests.unit.support.folding import over

PROVISIONED = Path(__file__).resolve().parents[3] / "compose/grafana"
SOURCES = {
    (source["type"], source["uid"])
    for path in sorted((PROVISIONED / "provisioning/datasources").glob("*.yaml"))
    for source in yaml.safe_load(path.read_text())["datasources"]
}
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((PROVISIONED / "dashboards").glob("*.json"))}
PANELS = [panel for board in BOARDS.values() for panel in board["panels"]]
TARGETS = [
    (panel, target) for name, board in BOARDS.items() for panel in board["panels"] for target in panel["targets"]
]
SQL = [(panel, target) for panel, target in TARGETS if "rawSql" in target]
PROMQL = [(panel, target) for panel, target in TARGETS if "expr" in target]
VARIABLES = [variable for name, board in BOARDS.items() for variable in board["templating"].get("list", ())]
AT = datetime(2026, 1, 1, 12)  # noqa: DTZ001  Arrow's timestamps have no zone, as InfluxDB's


def query(item):
    panel, target = item
    return f"{panel['title']} {target['refId']}"


def expand(sql):
    """Grafana's macros as its InfluxDB data source writes them."""
    bins = r"date_bin(interval '5 second', \1, timestamp '1970-01-01T00:00:00Z')"
    sql = re.sub(r"\$\{\w+:sqlstring\}", "'7'", sql)
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
            if column.is_tag:
                columns[column.name] = pa.array(["7"]).dictionary_encode()
            elif column.in_lines:
                columns[column.name] = pa.array([fields[column.type]])
        context.from_arrow(pa.table(columns), name=dataset.name)
    return context


@over(SQL, query)
def test_a_query_names_only_measurements_and_fields_there_are(panel, target, influx):
    found = influx.sql(expand(target["rawSql"])).to_arrow_table()

    assert "$" not in expand(target["rawSql"])
    if target["format"] == "time_series":
        assert 1 == found.num_rows or "transition = 'raised'" in target["rawSql"] or "devtype" in target["rawSql"]
        assert "time" == found.column_names[0]
        assert any(pa.types.is_floating(each) or pa.types.is_integer(each) for each in found.schema.types)
        assert "timeseries" == panel["type"]
    shown = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    assert set() == shown - set(found.column_names)


@over(VARIABLES, lambda variable: variable["name"])
def test_a_variable_lists_what_is_stored(variable, influx):
    assert 1 == influx.sql(expand(variable["query"])).to_arrow_table().num_rows


@pytest.mark.parametrize("wrong", ["SELECT watts FROM power", "SELECT time FROM redfish_thermal"])
def test_a_query_that_names_another_is_caught(influx, wrong):
    with pytest.raises(Exception, match=r"No field named watts|redfish_thermal' not found"):
        influx.sql(wrong).to_arrow_table()


@over(PROMQL, query)
def test_an_expression_names_only_metrics_there_are(panel, target):
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    known = {each.name + suffix for each in metrics.METRICS for suffix in suffixes.get(each.kind, ("",))}

    names = set(re.findall(r"\b(?:rackstream|process)_\w+", target["expr"]))
    assert set() == names - known - metrics.CLIENT_METRICS.keys()


@over(PANELS, lambda panel: panel["title"])
def test_a_panel_asks_a_provisioned_data_source(panel):
    asked = {(each["datasource"]["type"], each["datasource"]["uid"]) for each in [panel, *panel["targets"]]}

    assert 1 == len(asked)
    assert set() == asked - SOURCES


@over(BOARDS)
def test_panels_have_ids_of_their_own_and_do_not_overlap(name):
    panels = BOARDS[name]["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len(panels) == len({panel["id"] for panel in panels})
    assert all(0 <= x < 24 for x, _ in cells)


def test_a_link_leads_to_a_dashboard_and_a_variable_there_are():
    links = set(re.findall(r"/d/rackstream-(\w+)\?var-(\w+)=", json.dumps(list(BOARDS.values()))))

    assert links
    assert set() == links - {
        (name, each["name"]) for name, board in BOARDS.items() for each in board["templating"].get("list", ())
    }
