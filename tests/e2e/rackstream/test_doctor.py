"""`rackstream doctor` on a pipeline that runs, and on what breaks behind the target: Kafka, producers, sinks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from rackstream.cli import cli
from rackstream.local import ports
from rackstream.local.broker import EmbeddedKafka
from rackstream.local.supervisor import Supervisor
from rackstream.simulators.redfish import RedfishSimulator
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from schemas.testing import make_record
from tests.e2e.support import influxdb
from tests.e2e.support.parts import part, publish, records, running, until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]
PRODUCER = "redfish-of-the-test"
TOKEN = "t0k-3n-of-the-test"


@dataclass
class Site:
    """A pipeline: two BMCs, their producer, the processors, the files sink."""

    settings: KafkaSettings
    fleet: Path
    supervisor: Supervisor
    environment: dict[str, str]

    def said(self, *arguments: str, code: int, **environment: str) -> dict[str, Any]:
        """What the doctor says as JSON."""
        options = ("--json", "--timeout", "2", "--fleet", str(self.fleet))
        result = CliRunner().invoke(cli, ["doctor", *arguments, *options], env=self.environment | environment)
        assert code == result.exit_code, result.output + repr(result.exception)
        return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With a Kafka of its own, for the groups of sinks have one name each."""
    folder = tmp_path_factory.mktemp("site")
    with (
        pytest.MonkeyPatch.context() as patch,
        RedfishSimulator(2) as simulator,
        EmbeddedKafka(folder / "broker") as broker,
    ):
        for name in [name for name in os.environ if name.startswith(("KAFKA_", "RACKSTREAM_", "INFLUX_"))]:
            patch.delenv(name)
        patch.chdir(folder)
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, partitions=2, data_dir=folder / "data")
        topics.create(settings)
        topics.publish_schemas(settings)
        good, other = simulator.urls
        fleet = folder / "fleet.yaml"
        sections = {
            "redfish": {"interval": 1, "targets": [{"host": "good", "address": good}]},
            "libvirt": {"targets": [{"host": "unpolled", "uri": "test:///default"}]},
        }
        polled = folder / "polled.yaml"
        polled.write_text(yaml.safe_dump({"redfish": sections["redfish"]}))
        sections["redfish"]["targets"].append({"host": "forgotten", "address": other})  # type: ignore[index]
        fleet.write_text(yaml.safe_dump(sections))
        parts = [
            part(settings, "processor", "processor"),
            part(settings, "sink", "sink", "files", RACKSTREAM_FILES_MAX_SEC="0.5"),
            part(settings, "producer", "producer", "redfish", "--fleet", str(polled), "--name", PRODUCER),
        ]
        environment = {**parts[0].environment}
        with running(*parts) as supervisor:
            found = Site(settings, fleet, supervisor, environment)
            until(lambda: found_dead_or_stored(settings), tend=supervisor.run_periodic)
            yield found


def found_dead_or_stored(settings: KafkaSettings) -> bool:
    """Whether the sink has stored something, and a heartbeat and a status are there."""
    stored = any((settings.data_dir / "files").rglob("*.parquet"))
    return stored and bool(records(settings, "heartbeats")) and bool(records(settings, "state-targets"))


def finding(said: dict[str, Any], check: str) -> dict[str, Any]:
    return next(dict(each) for each in said["findings"] if each["check"] == check)


def polled(site: Site, host: str, source: str = "redfish", **raw: Any) -> None:
    """A target of the living producer, with one raw record."""
    now = datetime.now(UTC)
    status = make_record("TargetStatus") | {"source": source, "host": host, "producer": PRODUCER, "status": "up",
                                        "detail": "", "since": now, "observed_at": now, "removed": False}  # fmt: skip
    publish(site.settings, "state-targets", status)
    if raw:
        header = {"host": host, "producer": PRODUCER, "epoch": "e", "sequence": 0, "interval_s": 10.0}
        publish(site.settings, f"raw-{source}", make_record(f"{source.capitalize()}Sample") | header | raw)


def test_of_a_host_in_order_all_is_well(site: Site) -> None:
    said = site.said("good", code=0)

    assert ("Data flows; no problems found.", None, True) == (said["verdict"], said["stops_at"], said["healthy"])
    checks = ("login", "Kafka", "topics", "schemas", "producer", "last poll", "records", "clock", "processors")
    assert ["ok"] * 10 == [finding(said, each)["state"] for each in (*checks, "sink files")]


def test_for_people_it_is_a_line_per_check_and_a_verdict(site: Site) -> None:
    result = CliRunner().invoke(cli, ["doctor", "good", "--fleet", str(site.fleet)], env=site.environment)

    lines = result.output.splitlines()
    assert "rackstream doctor  good" == lines[0]
    assert "Data flows; no problems found." == lines[-1]
    assert any(line.startswith("records") and "  ok    the newest" in line for line in lines)


def test_a_target_that_no_producer_polls(site: Site) -> None:
    said = site.said("forgotten", code=1)

    assert "producer" == said["stops_at"]
    assert f"no producer has ever polled this target; running: {PRODUCER}" in said["verdict"]
    assert "started with this fleet file" in said["do"]


@pytest.mark.libvirt
def test_a_source_without_any_producer(site: Site) -> None:
    said = site.said("unpolled", code=1)

    assert "producer" == said["stops_at"]
    assert "no producer of libvirt is running" in said["verdict"]
    assert "rackstream producer libvirt" in said["do"]


def test_a_host_that_was_polled_and_gives_no_record(site: Site) -> None:
    polled(site, "mute")
    said = site.said("mute", code=1)

    assert "records" == said["stops_at"]
    assert "none in the last 15 min" in said["verdict"]


def test_a_record_of_a_schema_that_nobody_knows(site: Site) -> None:
    polled(site, "strange")
    publisher = kafka.KafkaPublisher(site.settings, "test")
    publisher.send(site.settings.catalog["raw-redfish"].name, b"strange", b"\0\x11\x22\x33\x44\x02\x02")
    assert 0 == publisher.flush(30)
    said = site.said("strange", code=1)

    assert "records" == said["stops_at"]
    assert "cannot be read" in said["verdict"]
    assert "no schema has the id 287454020" in said["verdict"]
    assert "dead-letters list" in said["do"]

    until(lambda: len(records(site.settings, "dead-letter")) >= 2, tend=site.supervisor.run_periodic)
    refused = finding(site.said("strange", code=1), "dead letters")
    assert "warn" == refused["state"]
    assert "unknown-schema by sink-files" in refused["seen"]
    assert "rackstream dead-letters list --stage" in refused["do"]
    assert "none of this host" == finding(site.said("good", code=0), "dead letters")["seen"]


@pytest.mark.parametrize(("hours", "told"), [(2, "2 h ahead of"), (-3, "3 h behind")])
def test_a_clock_that_is_wrong(site: Site, hours: int, told: str) -> None:
    host = f"clock{hours}"
    polled(site, host, observed_at=datetime.now(UTC) + timedelta(hours=hours, seconds=5))
    said = site.said(host, code=1)

    assert None is said["stops_at"]
    assert f"Data flows. Warning: clock: the clock of {PRODUCER} is {told}" in said["verdict"]
    assert "NTP" in said["do"]


def test_topics_that_are_missing(site: Site) -> None:
    said = site.said("good", code=1, RACKSTREAM_TOPIC_PREFIX="elsewhere.")

    assert "topics" == said["stops_at"]
    assert "missing on Kafka: elsewhere.raw.redfish" in said["verdict"]
    assert "rackstream topics --create" in said["do"]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (
            {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"},
            "is unreachable: Connect to ipv4#127.0.0.1:9 failed: Connection refused",
        ),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka.invalid:9092"}, "is not resolved"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "no TLS with"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
             "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": TOKEN},
            "rejects the login (SASL_PLAINTEXT)",
        ),
    ],
    ids=["away", "unresolved", "TLS", "SASL"],
)  # fmt: skip
def test_kafka_that_does_not_let_us_in(site: Site, environment: dict[str, str], told: str) -> None:
    said = site.said("good", code=1, **environment)

    assert "Kafka" == said["stops_at"]
    assert told in said["verdict"]
    assert TOKEN not in json.dumps(said)
    assert ["skipped"] * 3 == [finding(said, each)["state"] for each in ("topics", "producer", "processors")]


def test_kafka_whose_machine_says_nothing(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = site.said("good", code=1, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{server.getsockname()[1]}")

    assert "Kafka" == said["stops_at"]
    assert "within 2 s: a firewall" in said["verdict"]


def test_processors_that_have_never_run(site: Site) -> None:
    said = site.said("good", code=1, RACKSTREAM_PROCESSOR_GROUP="never")

    assert "processors" == said["stops_at"]
    assert "have never run" in said["verdict"]


def test_influxdb_that_is_away(site: Site) -> None:
    away = f"http://127.0.0.1:{ports.free_port()}"
    said = site.said("good", code=1, INFLUX_URL=away, INFLUX_DB="fleet", INFLUX_TOKEN=TOKEN)

    assert "InfluxDB" == said["stops_at"]
    assert f"{away} not reached" in said["verdict"]
    assert "warn" == finding(said, "sink influx")["state"]
    assert TOKEN not in json.dumps(said)


def test_an_influxdb_of_which_only_a_part_is_said(site: Site) -> None:
    said = site.said("good", code=1, INFLUX_URL="http://127.0.0.1:8181")

    assert "InfluxDB" == said["stops_at"]
    assert "INFLUX_DB: not set" in finding(said, "InfluxDB")["seen"]


class TestInflux:
    """A real one."""

    pytestmark = influxdb.MARKS

    def test_its_database_that_is_missing(self, site: Site, tmp_path: Path) -> None:
        server = influxdb.Influx(tmp_path)
        server.start()
        try:
            said = site.said("good", code=1, INFLUX_URL=server.url, INFLUX_DB="absent", INFLUX_TOKEN=TOKEN,
                             RACKSTREAM_INFLUX_API="v2")  # fmt: skip
        finally:
            server.kill()

        assert "InfluxDB: missing: absent" in said["verdict"]
        assert "--set-up" in said["do"]


class Refusing(BaseHTTPRequestHandler):
    """InfluxDB 3 before a token it does not know."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ping" else 401)
        self.send_header("X-Influxdb-Version", "3.4.0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_token_that_influxdb_does_not_know(site: Site) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        said = site.said("good", code=1, INFLUX_URL=url, INFLUX_DB="fleet", INFLUX_TOKEN=TOKEN)
        server.shutdown()
        thread.join()

    assert "InfluxDB" == said["stops_at"]
    assert "answers 401" in said["verdict"]
    assert "check INFLUX_TOKEN" in said["do"]
    assert TOKEN not in json.dumps(said)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full(site: Site, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=1m") as folder:
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(65536))
        said = site.said("good", code=1, RACKSTREAM_FILES_ROOT=str(folder))

    assert "disk" == said["stops_at"]
    assert f"1 MB free at {folder}" in said["verdict"]
    assert "make room" in said["do"]


def test_a_directory_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "ro,size=1m") as folder:
        said = site.said("good", code=1, RACKSTREAM_FILES_ROOT=str(folder))

    assert "directories" == said["stops_at"]
    assert f"{folder} (files)" in said["verdict"]


def test_the_whole_installation_names_the_worst_target_first(site: Site) -> None:
    said = site.said(code=1)

    assert "producers" == said["stops_at"]
    assert "no producer of libvirt is running" in said["verdict"]
    targets = finding(said, "targets")
    assert "fail" == targets["state"]
    assert {"libvirt unpolled: never polled", "redfish forgotten: never polled"} == set(targets["more"][:2])


def test_what_is_stopped_is_named_with_what_waits_for_it(site: Site) -> None:
    """Last, for the site does not live on."""
    site.supervisor.stop(["sink", "processor"])
    until(
        lambda: "fail" == finding(site.said("good", code=1), "processors")["state"], tend=site.supervisor.run_periodic
    )
    said = site.said("good", code=1)
    assert "processors" == said["stops_at"]
    assert "is not running" in finding(said, "sink files")["seen"]
    assert " waiting in its partitions, the oldest for" in finding(said, "sink files")["seen"]
    assert "Also failed: sink files" in said["verdict"]

    site.supervisor.stop(["producer"])
    said = site.said("good", code=1)
    assert "producer" == said["stops_at"]
    assert f"{PRODUCER} was stopped" in said["verdict"]
    assert "skipped" == finding(said, "records")["state"]
