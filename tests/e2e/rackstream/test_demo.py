"""The demo as a user runs it: its counts, files and topics, what is left of it. One run serves all but the chaos."""

import collections
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from rackstream.local.broker import EmbeddedKafka
from runtime.settings import KafkaSettings
from schemas import catalog
from sinks import datasets
from tests.e2e.support.parts import part, running

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]
EXPECTED_RULES = {"temperature-high"}
CANARY = "bmc-canary-91c2"
SEED_003 = {
    "network interface metrics": """
        SELECT rxbytes, txbytes, rxerrors, txerrors FROM vm_devices
        WHERE devtype='nic' AND device='tap0.0' AND time > now() - interval '1 hour'""",
    "disk I/O metrics": """
        SELECT rd_bytes, wr_bytes, rd_req, wr_reqs FROM vm_devices WHERE devtype='disk' AND device='vda'""",
    "aggregated network statistics": """
        SELECT net_rxbytes, net_txbytes, net_rxerrors, net_txdrops FROM vm_totals WHERE name='one-0'""",
    "memory pressure": "SELECT memswap_in, memswap_out, memmajor_fault FROM vm_totals WHERE name='one-0'",
    "CPU mode distribution": "SELECT timeusr, timesys, (timeusr + timesys) as total_cpu_time FROM vm_totals",
}
"""Its five questions, with a standard interval and names that the demo has."""


def rackstream(*arguments, timeout_s=300, **environment):
    command = [sys.executable, "-m", "rackstream", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RACKSTREAM_"))}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, env=clean | environment
    )


def demo(directory, *arguments, timeout_s=300):
    secret = {"RACKSTREAM_DEMO_BMC_PASSWORD": CANARY}
    done = rackstream("demo", "--data-dir", str(directory), "--json", *arguments, timeout_s=timeout_s, **secret)
    assert done.stdout.strip(), done.stderr
    return done, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A demo of 45 s, and what it printed last."""
    directory = tmp_path_factory.mktemp("demo")
    done, said = demo(directory, "--duration", "45")
    assert 0 == done.returncode, done.stderr
    return directory, said


@pytest.fixture(scope="module")
def settings(ran):
    """The demo's Kafka, started again."""
    with EmbeddedKafka(ran[0]) as broker:
        yield KafkaSettings.read(bootstrap=broker.bootstrap, data_dir=ran[0])


def messages(settings, name):
    """Everything on a topic, by a consumer that knows nothing of us."""
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": "recount", "enable.auto.commit": False})
    try:
        ends = {}
        for number in consumer.list_topics(name, timeout=10).topics[name].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=10)
            if high > low:
                ends[number] = high
        consumer.assign([TopicPartition(name, number, 0) for number in ends])
        found = []
        while ends:
            message = consumer.poll(10)
            assert message is not None, f"{name} stalls"
            assert message.error() is None
            found.append(message)
            if message.offset() + 1 >= ends[message.partition()]:
                del ends[message.partition()]
        return found
    finally:
        consumer.close()


def test_a_demo_loses_doubles_and_invents_nothing(ran):
    audit = ran[1]["audit"]

    assert {"lost": 0, "twice": 0, "late": 0, "wrong": 0, "invented": 0, "pending": 0} == {
        name: audit[name] for name in ("lost", "twice", "late", "wrong", "invented", "pending")
    }
    assert 0 == ran[1]["dead_letters"]


def test_a_demo_raises_and_clears_just_the_alerts_it_is_about(ran, settings):
    alerts = [decoded for _, decoded in read(settings, "fleet.alerts")]

    assert EXPECTED_RULES == {alert["rule"] for alert in alerts}
    assert {"raised", "cleared"} <= {alert["transition"] for alert in alerts}
    assert ran[1]["alerts"] == {
        kind: sum(alert["transition"] == kind for alert in alerts) for kind in ("raised", "cleared")
    }


def test_its_counts_of_records_are_those_of_the_topics(ran, settings):
    names = [topic.name for topic in catalog.load().topics.values()]

    assert ran[1]["topics"] == {name: len(messages(settings, name)) for name in names}


def test_its_counts_of_rows_are_those_of_the_files(ran):
    counted = {}
    for folder in sorted((ran[0] / "files").glob("[a-z]*")):
        [[counted[folder.name]]] = duckdb.sql(f"select count(*) from '{folder}/**/*.parquet'").fetchall()

    assert ran[1]["datasets"] == counted
    assert {"vm_metrics", "vm_features", "vm_devices", "vm_totals", "redfish_temperature", "host"} <= counted.keys()


def read(settings, name):
    """Records of a topic through Confluent's deserialiser and the schema endpoint, as a team of its own would."""
    with running(part(settings, "console", "serve", "--port", str(free_port()))) as supervisor:
        url = f"http://127.0.0.1:{supervisor.parts['console'].command[-1]}"
        with SchemaRegistryClient({"url": url}) as registry:
            deserialise = AvroDeserializer(registry)
            context = SerializationContext(name, MessageField.VALUE)
            return [(message, deserialise(message.value(), context)) for message in messages(settings, name)]


def free_port():
    import socket

    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def plain_row(row):
    return tuple(dict(value or ()) if isinstance(value, (dict, list)) else value for value in row)


@pytest.mark.parametrize("alias", ["raw-libvirt", "vm-totals", "vm-features", "raw-redfish", "power", "alerts"])
def test_rows_of_the_files_equal_the_expanded_records_of_the_topics(ran, settings, alias):
    found = [record for _, record in read(settings, catalog.load()[alias].name)]
    for dataset in datasets.for_topic(alias):
        columns = ", ".join(f'"{name}"' for name in dataset.names)
        stored = duckdb.sql(f"set timezone = 'UTC'; select {columns} from '{ran[0]}/files/{dataset.name}/**/*.parquet'")
        expected = collections.Counter(repr(plain_row(row)) for record in found for row in dataset.rows(record))
        assert expected == collections.Counter(repr(plain_row(utc(row))) for row in stored.fetchall()), dataset.name
        assert expected


def utc(row):
    from datetime import UTC, datetime

    return [value.astimezone(UTC) if isinstance(value, datetime) else value for value in row]


def test_pyarrow_reads_what_duckdb_reads(ran):
    from pyarrow import parquet

    paths = (ran[0] / "files" / "vm_totals").rglob("*.parquet")

    assert ran[1]["datasets"]["vm_totals"] == sum(parquet.read_metadata(path).num_rows for path in paths)


@pytest.mark.parametrize("question", SEED_003)
def test_the_seeds_sql_is_answered_by_the_stored_files(ran, question):
    done = rackstream("query", "--json", SEED_003[question], "--data-dir", str(ran[0]))

    assert 0 == done.returncode, done.stderr
    assert json.loads(done.stdout)


def test_the_password_of_a_bmc_is_in_no_log_topic_journal_or_file(ran):
    found = subprocess.run(["grep", "-rlaF", CANARY, str(ran[0])], capture_output=True, text=True, check=False)

    assert "" == found.stdout
    assert CANARY not in json.dumps(ran[1])


def test_tail_prints_the_raise_and_the_clear(ran):
    done = rackstream("tail", "fleet.alerts", "--data-dir", str(ran[0]), "--no-follow")

    assert 0 == done.returncode, done.stderr
    assert "raised warning temperature-high: High temperature:" in done.stdout
    assert "cleared (recovered)" in done.stdout


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_tail_prints_json_that_jq_reads(ran):
    done = rackstream("tail", "fleet.derived.vm-totals", "--json", "--no-follow", "--data-dir", str(ran[0]))
    names = subprocess.run(
        ["jq", "-r", ".vms[].name"], input=done.stdout, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"test", "one-0", "one-4"} <= set(names)


def test_audit_finds_the_same_again(ran):
    done = rackstream("audit", "--json", "--data-dir", str(ran[0]))

    assert 0 == done.returncode, done.stderr
    assert ran[1]["audit"] == json.loads(done.stdout)["audit"]


def test_audit_notices_a_stored_file_that_is_gone_or_doubled(ran, tmp_path):
    copy = tmp_path / "files"
    shutil.copytree(ran[0] / "files", copy)
    [victim, *_] = sorted((copy / "vm_totals").rglob("*.parquet"))
    [manifest] = [path for path in (copy / "_manifest").iterdir() if victim.name in path.read_text()]
    lines = manifest.read_text().splitlines()
    [line] = [line for line in lines if victim.name in line]
    rows = sum(file["rows"] for file in json.loads(line)["files"])

    manifest.write_text("\n".join([*lines, line, ""]))
    doubled = json.loads(rackstream_audit(ran[0], copy).stdout)["audit"]
    manifest.write_text("\n".join([each for each in lines if each != line] + [""]))
    gone = json.loads(rackstream_audit(ran[0], copy).stdout)["audit"]

    assert (rows, 0) == (doubled["twice"], doubled["lost"])
    assert (0, rows) == (gone["twice"], gone["lost"])


def rackstream_audit(directory, files):
    return rackstream("audit", "--json", "--data-dir", str(directory), RACKSTREAM_FILES_ROOT=str(files))


def test_a_wrong_word_is_said_while_kafka_runs(ran, settings):
    done = rackstream("replay", "--from", "-1h", "--into", "files", "--topic", "dead-letter", "--data-dir", str(ran[0]))

    assert (2, "") == (done.returncode, done.stdout)
    assert "the records of fleet.dead-letter have no rows" in done.stderr


def test_a_replay_beside_a_running_demo_fills_the_files_of_the_demo(ran, settings, tmp_path):
    above = tmp_path / "above"
    above.mkdir()
    (above / "demo").symlink_to(ran[0], target_is_directory=True)
    done = rackstream("replay", "--from", "-1h", "--into", "files", "--json", "--data-dir", str(above))

    assert 0 == done.returncode, done.stderr
    assert ({}, ran[1]["datasets"]) == tuple(json.loads(done.stdout)[name] for name in ("rows", "there"))


def test_nothing_is_left_running_after_a_demo(ran):
    left = subprocess.run(["pgrep", "-f", f"rackstream .*{ran[0]}"], capture_output=True, text=True, check=False)

    assert "" == left.stdout


def test_a_directory_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "precious").write_text("data")
    done = rackstream("demo", "--data-dir", str(tmp_path), "--duration", "10")

    assert 2 == done.returncode
    assert "was not made by a demo" in done.stderr
    assert "data" == (tmp_path / "precious").read_text()


@pytest.mark.parametrize(
    "seconds",
    # `make chaos` kills more of more; CI runs its short form.
    [pytest.param(80, marks=pytest.mark.soak), pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(0)])],
    ids="{} s".format,
)
def test_killing_worker_sink_and_kafka_loses_and_doubles_nothing(tmp_path, seconds):
    done, said = demo(tmp_path / "chaos", "--chaos", "--duration", str(seconds), timeout_s=seconds + 200)
    killed = [line for line in done.stderr.splitlines() if "chaos: killed" in line]

    assert 3 == len(killed), done.stderr
    assert 0 == done.returncode, (said, done.stderr)
    names = ("lost", "twice", "wrong", "invented", "pending")
    assert [0] * len(names) == [said["audit"][name] for name in names], said
    assert said["alerts"]["raised"] >= 2
    assert Path(tmp_path / "chaos" / "files").exists()
