"""Dead letters on a real Kafka: what a stage could not take is taken once when it can be, and then is no letter."""

import json
import sys
import textwrap
import urllib.request
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from fastavro.schema import parse_schema
from pyarrow import parquet

from rackstream.cli import cli
from rackstream.local.supervisor import PipelinePart
from rackstream.topics.lag import lag
from runtime import kafka as clients
from runtime.dead_letter import DeadLetterEncoder
from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record
from sinks.webhook import silences
from tests.e2e.support.influxdb import INFLUXD, Influx
from tests.e2e.support.parts import part, publish, records, running, until
from tests.e2e.support.receiver import Receiver, take
from tests.e2e.support.transitions import alert, cleared, silence

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]
NOW = datetime.now(UTC).replace(microsecond=0)
FAILING = """
    import sys
    from dataclasses import replace
    from processors import hosts

    def run(state, record):
        if record["sequence"] == 4:
            raise ValueError("odd")
        return step.run(state, record)

    step = hosts.STEP
    hosts.STEP = replace(step, run=run)

    from rackstream.cli import main

    sys.argv = ["rackstream", "processor"]
    main()
"""


def sample(n, **fields):
    header = {"at_s": n, "host": "h1", "category": "host", "observed_at": NOW + timedelta(seconds=n)}
    net = make_record("HostInterface", device="eth0", rxbytes=1000 * n)
    return make_raw_record("HostSample", **header, cpu_percent=float(n), interfaces=[net], **fields)


def later_schema():
    """A HostSample with a field that is not published yet."""
    definition = deepcopy(catalog.schema("HostSample").definition)
    definition["fields"].append({"name": "later", "type": ["null", "string"], "default": None, "doc": "New."})
    return catalog.Schema("HostSample", catalog.fingerprint_id(definition), definition, parse_schema(definition))


def send(kafka, alias, key, value):
    publisher = clients.KafkaPublisher(kafka, "test")
    publisher.send(kafka.catalog[alias].name, key, value)
    assert (0, []) == (publisher.flush(20), publisher.delivery_failures)


def publish_schema(kafka, schema):
    said = {"id": schema.id, "subject": schema.name, "schema": schema.definition}
    send(kafka, "schemas", str(schema.id).encode(), json.dumps(said).encode())


@pytest.fixture
def rackstream(kafka, monkeypatch):
    """The command line on this test's topics: (exit code, what it said as JSON)."""
    for name, value in part(kafka, "dead-letters").environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments, given=None):
        done = CliRunner().invoke(cli, ["dead-letters", *arguments, "--json"], input=given)
        said = done.stdout.splitlines()[-1:]
        return done.exit_code, json.loads(said[0]) if said and said[0].startswith(("[", "{")) else done.output

    return run


def stored(kafka, dataset="host"):
    paths = (kafka.data_dir / "files" / dataset).rglob("*.parquet")
    return sorted(sequence for path in paths for sequence in parquet.ParquetFile(path).read()["sequence"].to_pylist())


def raw_ends(kafka):
    return clients.watermarks(kafka, kafka.catalog["raw-host"].name)


def test_bytes_of_an_unknown_schema_are_stored_once_when_the_schema_is_known(kafka, rackstream):
    """One of them is larger than a letter, which refers to it."""
    schema = later_schema()
    publish(kafka, "raw-host", sample(0))
    for n, labels in ((1, {}), (2, {"note": "x" * 950_000})):
        send(kafka, "raw-host", b"h1", codec.encode(schema, sample(n, labels=labels)))
    publish(kafka, "raw-host", sample(3))
    with running(part(kafka, "files", "sink", "files", RACKSTREAM_FILES_MAX_SEC="0.2")) as supervisor:
        until(lambda: stored(kafka) == [0, 3], tend=supervisor.run_periodic)
        until(lambda: lag(kafka, "rackstream-files", ["raw-host"]) == 0, tend=supervisor.run_periodic)
    ends = raw_ends(kafka)
    listed = rackstream("list", "--reason", "unknown-schema", "--stage", "sink-files")[1]
    assert [True, True] == [each["size"] > 100 for each in listed]
    assert rackstream("retry", "--all")[0] == 1
    assert [0, 3] == stored(kafka)

    publish_schema(kafka, schema)
    code, said = rackstream("retry", "--stage", "sink-files")

    assert (0, [True, True]) == (code, [each["done"] for each in said])
    assert [0, 1, 2, 3] == stored(kafka)
    assert (0, []) == rackstream("list")
    assert (0, []) == rackstream("retry", "--all")
    assert ends == raw_ends(kafka)


def test_a_record_that_a_step_failed_on_is_stepped_once_when_it_is_mended(kafka, rackstream):
    """So are bytes of a schema that became known later."""
    schema = later_schema()
    publish(kafka, "raw-host", *[sample(n) for n in range(2)])
    send(kafka, "raw-host", b"h1", codec.encode(schema, sample(2)))
    publish(kafka, "raw-host", *[sample(n) for n in range(3, 6)])
    worker = part(kafka, "processor")
    failing = PipelinePart(
        "processor", [sys.executable, "-c", textwrap.dedent(FAILING)], worker.log, worker.environment
    )
    with running(failing) as supervisor:
        until(lambda: lag(kafka, f"{kafka.topic_prefix}processors", ["raw-host"]) == 0, tend=supervisor.run_periodic)
    assert [1, 3, 5] == [record["sequence"] for record in records(kafka, "host-rates")]
    assert ["unknown-schema", "step-failed"] == [each["reason"] for each in rackstream("list")[1]]
    ends = raw_ends(kafka)
    publish_schema(kafka, schema)

    code, said = rackstream("retry", "--all")

    assert 0 == code, said
    found = {record["sequence"]: record for record in records(kafka, "host-rates")}
    assert [1, 2, 3, 4, 5] == sorted(record["sequence"] for record in records(kafka, "host-rates"))
    assert [1.0, 1.0] == [found[n]["interval_s"] for n in (2, 4)], "the state as of then"
    assert (0, []) == rackstream("list")
    assert ends == raw_ends(kafka)


def test_a_letter_kept_by_a_crash_between_publishing_and_tombstone_publishes_nothing_again(kafka, rackstream):
    publish(kafka, "raw-host", sample(0), sample(1))
    message = next(each for each in clients.read_all(kafka, kafka.catalog["raw-host"].name) if each.offset() == 1)
    letter = DeadLetterEncoder(kafka, "processors").encode_message(
        message, reason="step-failed", detail="hosts: ValueError('odd')"
    )
    for _ in range(2):
        send(kafka, "dead-letter", letter.key, letter.value)
        assert 0 == rackstream("retry", "--all")[0]

    assert [1] == [record["sequence"] for record in records(kafka, "host-rates")]


@pytest.fixture
def influx(tmp_path):
    made = Influx(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.mark.influx
@pytest.mark.skipif(not INFLUXD, reason="no influxd: see influxdb.py")
def test_a_line_that_influxdb_refused_is_written_when_it_takes_it(kafka, rackstream, influx, monkeypatch):
    login = {
        "INFLUX_URL": influx.url, "INFLUX_DB": "lab", "INFLUX_TOKEN": "user:pw", "RACKSTREAM_INFLUX_API": "v2"
    }  # fmt: skip
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    influx.query("CREATE DATABASE lab")
    boolean = f"host,host=x cpu_percent=true {int(NOW.timestamp() * 1e9)}"
    urllib.request.urlopen(f"{influx.url}/write?db=lab", data=boolean.encode(), timeout=10).close()
    publish(kafka, "raw-host", sample(2))
    with running(part(kafka, "influx", "sink", "influx", **login)) as supervisor:
        until(lambda: lag(kafka, "rackstream-influx", ["raw-host"]) == 0, tend=supervisor.run_periodic)
    assert ["refused"] == [each["reason"] for each in rackstream("list")[1]]
    assert 1 == rackstream("retry", "--all")[0]

    influx.query("DROP MEASUREMENT host")
    code, said = rackstream("retry", "--all")

    assert 0 == code, said
    assert [2.0] == [each["cpu_percent"] for each in influx.query('SELECT cpu_percent FROM "host"')]
    assert (0, []) == rackstream("list")


@pytest.mark.parametrize("name", [None, "on-call"])
def test_an_alert_that_its_receiver_refused_is_delivered_when_it_takes_it(kafka, rackstream, monkeypatch, name):
    """Not while it is muted, and not what has gone on since."""
    publish(kafka, "alerts", alert("a"), alert("b"), alert("over", host="h2"), cleared("over", host="h2"))
    stage = f"sink-webhook-{name}" if name else "sink-webhook"
    letters = DeadLetterEncoder(kafka, stage)
    for message in clients.read_all(kafka, kafka.catalog["alerts"].name):
        letter = letters.encode_message(message, reason="refused", detail="answers 400")
        send(kafka, "dead-letter", letter.key, letter.value)
    quiet = silence(("component", "1/b"))
    silences.publish(kafka, quiet)
    with Receiver(lambda _: (400, {})) as receiver:
        monkeypatch.setenv("RACKSTREAM_WEBHOOK_URL", receiver.url)
        assert {False} == {each["done"] for each in rackstream("retry", "--stage", stage)[1]}
        receiver.answer = take

        code, said = rackstream("retry", "--stage", stage)

    assert 1 == code
    assert ["delivered", "delivered", f"muted by silence {quiet['id']}",
            "not retriable: this alert has changed since; drop it"] == sorted(each["why"] for each in said)  # fmt: skip
    assert [("a", "raised"), ("over", "cleared")] == sorted((each["id"], each["transition"])
                                                            for each in receiver.alerts())  # fmt: skip
    assert 2 == len(rackstream("list")[1])


def test_retention_is_not_retriable_and_drop_asks_first(kafka, rackstream):
    letters = DeadLetterEncoder(kafka, "sink-files")
    name = kafka.catalog["raw-host"].name
    for number in range(2):
        hole = letters.encode_retention_gap(name, number, 5, 9)
        send(kafka, "dead-letter", hole.key, hole.value)
    mine = f"{name}/0/5/sink-files"

    code, said = rackstream("retry", mine)

    assert (1, False) == (code, said[0]["done"])
    assert "not retriable" in said[0]["why"]
    assert "offsets 5 to 8" in rackstream("show", mine)[1]["detail"]
    assert 2 == len(rackstream("list", "--from", "-1h")[1])
    assert [] == rackstream("list", "--to", "-1h")[1]
    assert rackstream("drop", mine, given="n\n")[0] != 0
    assert 2 == len(rackstream("list")[1])
    assert {"dropped": [mine]} == rackstream("drop", mine, "--yes")[1]
    assert [f"{name}/1/5/sink-files"] == [each["id"] for each in rackstream("list")[1]]
    assert rackstream("drop", "--yes")[0] != 0, "which ones was not said"
