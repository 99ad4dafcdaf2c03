"""`rackstream query` over files that the files sink wrote."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from rackstream.commands.query import query
from rackstream.stored.query import StoredFiles
from runtime import topics
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas.testing import make_raw_record, make_record
from sinks.files.sink import FilesSink
from sinks.sink import Batch, Item

AT = datetime(2026, 1, 2, 3, 59, 58, tzinfo=UTC)


def sample(number, **fields):
    hot = make_record(
        "RedfishTemperature",
        chassis_id="1",
        sensor_id="0",
        sensor_name="CPU \"1\", 'a'\n\x1b[31mred",
        reading_celsius=40.0 + number,
    )
    unread = make_record("RedfishTemperature", chassis_id="1", sensor_id="1", sensor_name="Inlet")
    header = {"at_s": number, "host": f"node-{number % 2}", "category": "thermal", "labels": {"rack": "r1"}}
    return make_raw_record(
        "RedfishSample", **header, observed_at=AT + timedelta(seconds=number), temperatures=[hot, unread], **fields
    )


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Four records in two hours, half of them in Parquet, half in JSON lines, and a file that was never committed."""
    monkeypatch.setattr(topics, "topic_id", lambda *_: "id")
    monkeypatch.setenv("RACKSTREAM_DATA_DIR", str(tmp_path))
    for kind, first in (("parquet", 0), ("jsonl", 2)):
        sink = FilesSink(KafkaSettings.read(bootstrap="nowhere:1"), tmp_path / "files", kind)
        partition = ("fleet.raw.redfish", 0)
        sink.assign(partition, (0, 10))
        items = tuple(Item("raw-redfish", partition, n, sample(n)) for n in range(first, first + 2))
        sink.write(Batch(items, {partition: (first, first + 2)}))
        sink.close()
    [some, *_] = sorted((tmp_path / "files" / "redfish_temperature").rglob("*.parquet"))
    (some.parent / "fleet.raw.redfish-id-1-0-9.parquet").write_bytes(some.read_bytes())
    return tmp_path


def ask(*arguments):
    return CliRunner().invoke(query, arguments, catch_exceptions=False)


def test_rows_of_all_committed_files_are_one_table_whatever_their_format(data):
    said = ask("--json", "select epoch, reading_celsius, time from redfish_temperature order by time, sensor_id")

    assert [40.0, None, 41.0, None, 42.0, None, 43.0, None] == [
        row["reading_celsius"] for row in json.loads(said.output)
    ]
    assert AT.isoformat() == json.loads(said.output)[0]["time"]


def test_labels_are_a_map_in_both_formats(data):
    said = ask("--json", "select distinct labels['rack'] as rack, count(*) as n from redfish_temperature group by all")

    assert [{"rack": "r1", "n": 8}] == json.loads(said.output)


def test_a_dataset_of_which_nothing_is_stored_yet_is_an_empty_table(data):
    assert "[]\n" == ask("--json", "select net_rxbytes, time from vm_totals").output
    assert "0 rows" in ask("select * from vm_totals").output


def test_csv_holds_any_text(data):
    said = ask("--csv", "select sensor_name, labels from redfish_temperature where reading_celsius = 40")

    assert [["sensor_name", "labels"], ["CPU \"1\", 'a'\n\x1b[31mred", '{"rack": "r1"}']] == list(
        csv.reader(io.StringIO(said.output))
    )


def test_a_table_lets_no_name_write_to_the_terminal(data):
    assert "\x1b" not in ask("select sensor_name from redfish_temperature").output


def test_a_chart_has_a_line_per_text(data):
    said = ask(
        "--plot", "select time, host, reading_celsius from redfish_temperature where reading_celsius is not null"
    )

    assert ("node-0 reading_celsius" in said.output, "node-1 reading_celsius" in said.output) == (True, True)
    assert "43.0" in said.output


def test_show_tables_names_what_is_stored_and_describe_its_columns(data):
    assert [{"name": "redfish_temperature"}] == json.loads(ask("--json", "show tables").output)
    columns = {row["column_name"]: row["column_type"] for row in json.loads(ask("--json", "describe vm_totals").output)}
    assert ("TIMESTAMP WITH TIME ZONE", "BIGINT") == (columns["time"], columns["net_rxbytes"])


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        pytest.param("select * from vm_total", "tables: vm_metrics, vm_devices", id="no such table"),
        pytest.param("select nothing from vm_totals", 'Referenced column "nothing"', id="no such column"),
        pytest.param("selec", "syntax error", id="no SQL"),
        pytest.param(" ", "no SQL given", id="no SQL at all"),
        pytest.param("select cast(host as int) from redfish_temperature", "Could not convert", id="no number"),
    ],
)
def test_what_cannot_be_answered_is_said(data, sql, says):
    with pytest.raises(Misconfigured, match=says):
        ask(sql)


def test_a_chart_of_texts_is_refused(data):
    with pytest.raises(Misconfigured, match="nothing to draw"):
        ask("--plot", "select host from redfish_temperature")


def test_a_directory_without_files_is_named(tmp_path):
    with pytest.raises(Misconfigured, match="no files are stored in"):
        ask("select 1", "--data-dir", str(tmp_path))


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('{secret}')",
        "select * from '{secret}'",
        "select * from read_csv('{secret}', header = false)",
        "select * from glob('{secret}*')",
        "select * from read_text('{files}/../secret.csv')",
        "select * from sniff_csv('{secret}')",
        "select * from read_csv('https://127.0.0.1:9/x.csv')",
        "select getenv('HOME')",
        "select 1; select * from read_text('{secret}')",
        "copy (select 1) to '{files}/written.csv'",
        "copy (select 1) to '{files}/../written.csv'",
        "explain analyze copy (select 1) to '{files}/written.csv'",
        "explain (analyze) copy (select 1) to '{files}/written.csv'",
        "export database '{files}/written'",
        "attach '{files}/written.db'",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "set allowed_directories = ['/']",
        "load httpfs",
        "install httpfs",
    ],
)
def test_a_statement_reads_stored_files_and_nothing_else(data, sql):
    secret = data / "secret.csv"
    secret.write_text("canary,1\n")
    with pytest.raises(Misconfigured) as caught:
        ask("--json", sql.format(secret=secret, files=data / "files"))

    assert "canary" not in str(caught.value)
    assert [] == [path for path in data.rglob("*") if "written" in path.name]


def test_data_frames_of_the_process_are_not_tables(data):
    import pyarrow as pa

    rows = pa.table({"token": ["canary"]})
    assert 1 == rows.num_rows
    with StoredFiles(data / "files") as files, pytest.raises(Misconfigured, match="rows"):
        files.query("select * from rows")


def test_a_plan_of_a_statement_is_shown(data):
    assert 0 == ask("explain analyze select count(*) from redfish_temperature").exit_code
