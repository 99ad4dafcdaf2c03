"""The telemetry API as documented: configuration, collector, the five REST calls; secrets are never shown."""

import json
import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from rackstream.local.broker import running
from rackstream.simulators import libvirt_testnode
from rackstream.telemetry import TelemetryCollector, TelemetryConfig
from runtime.errors import Misconfigured
from tests.e2e.support import influxdb
from tests.e2e.support.parts import until

CANARY = "canary:secret-7f3a"
NAMES = ("LIBVIRT_URI", "INFLUX_URL", "INFLUX_DB", "INFLUX_TOKEN")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A complete environment of the telemetry API; of it, only 10 VMs with 2 NICs and 3 disks exist yet."""
    for name in [name for name in os.environ if name.startswith(("KAFKA_", "RACKSTREAM_", "INFLUX", "LIBVIRT"))]:
        if name != "RACKSTREAM_INFLUXD":
            monkeypatch.delenv(name)
    node = tmp_path / "node.xml"
    node.write_text(libvirt_testnode.node_xml(10, nics=2, disks=3))
    values = {
        "LIBVIRT_URI": f"test://{node}",
        "INFLUX_URL": "http://127.0.0.1:9",
        "INFLUX_DB": "vmstats",
        "INFLUX_TOKEN": CANARY,
        "RACKSTREAM_INFLUX_API": "v2",
        "RACKSTREAM_DATA_DIR": str(tmp_path / "data"),
        "RACKSTREAM_PARTITIONS": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return values


def test_all_that_is_missing_is_named_at_once(environment, monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name)
    with pytest.raises(Misconfigured) as caught:
        TelemetryConfig.from_env()

    assert [] == [name for name in NAMES if name not in str(caught.value)]


def test_defaults_are_the_documented_ones(environment):
    config = TelemetryConfig.from_env()
    values = (config.poll_interval, config.batch_max_lines, config.batch_max_sec)

    assert (1.0, 2000, 1.0, 300.0, 30.0) == (*values, config.device_cache_ttl, config.libvirt_timeout)


def test_what_must_not_be_shown_is_masked(environment):
    config = TelemetryConfig.from_env()
    safe = config.to_safe_dict()

    assert {"***"} == {safe["libvirt_uri"], safe["influx_url"], safe["influx_token"]}
    assert "vmstats" == safe["influx_db"]
    assert CANARY not in repr(config)


def test_a_collector_that_was_not_started_says_so(environment):
    status = TelemetryCollector(TelemetryConfig.from_env()).get_status()

    assert {"running": False, "started_at": None, "vms_monitored": 0} == {
        name: status[name] for name in ("running", "started_at", "vms_monitored")
    }


@pytest.mark.kafka
@pytest.mark.libvirt
@pytest.mark.influx
@influxdb.MARKS[1]
def test_ten_vms_are_in_influxdb_within_two_cycles(environment, tmp_path, monkeypatch):
    influx = influxdb.Influx(tmp_path / "influx")
    influx.folder.mkdir()
    influx.start()
    influx.query("CREATE DATABASE vmstats")
    monkeypatch.setenv("INFLUX_URL", influx.url)
    collector = TelemetryCollector(TelemetryConfig.from_env())
    try:
        collector.start()
        until(lambda: collector.get_status()["total_metrics_written"] >= 160)
        status, vms = collector.get_status(), collector.get_vms()
        collector.stop()

        counts = per_cycle(influx)
        assert [{"vm_metrics": 10, "vm_features": 10, "vm_devices": 50, "vm_totals": 10}] == unique(counts[1:])
        assert {"vm_metrics": 10, "vm_features": 0, "vm_devices": 50, "vm_totals": 10} == counts[0]
        assert (True, 10, 0) == (status["running"], status["vms_monitored"], status["total_errors"])
        assert {"one-0", "one-9"} <= {vm["name"] for vm in vms}
        assert not collector.get_status()["running"]
        assert running(tmp_path / "data") is None
        canary_is_nowhere(environment["RACKSTREAM_DATA_DIR"], json.dumps(status))
    finally:
        collector.stop()
        influx.kill()


def per_cycle(influx):
    """Lines of each measurement at each time, oldest first."""
    counts = {}
    fields = {"vm_metrics": "state", "vm_features": "memory_rate_kb_per_sec", "vm_totals": "cpus"}
    for name, field in fields.items():
        for row in influx.query(f'select "{field}" from "{name}"', db="vmstats"):
            counts.setdefault(row["time"], dict.fromkeys([*fields, "vm_devices"], 0))[name] += 1
    for field in ("rxbytes", "rd_bytes"):
        for row in influx.query(f'select "{field}" from vm_devices', db="vmstats"):
            counts[row["time"]]["vm_devices"] += 1
    return [counts[time] for time in sorted(counts)]


def unique(items):
    return [item for at, item in enumerate(items) if item not in items[:at]]


def canary_is_nowhere(data_dir, *texts):
    """The token is in no log, journal or topic (Kafka's own files among them), and in none of the texts."""
    grep = subprocess.run(["grep", "-rlaF", CANARY, data_dir], capture_output=True, text=True, check=False)

    assert "" == grep.stdout
    assert [] == [text for text in texts if CANARY in text]


def call(port, method, path, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.kafka
@pytest.mark.libvirt
def test_the_five_rest_calls(environment, tmp_path, monkeypatch):
    """Start and stop need the token; InfluxDB is away all the time, and that is nobody's error."""
    port = str(influxdb.free_port())
    log = tmp_path / "console.log"
    command = [sys.executable, "-m", "rackstream", "serve", "--port", port]
    with log.open("wb") as out:
        console = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        until(lambda: answers(port))
        token_file = tmp_path / "data" / "api-token"
        token = token_file.read_text().strip()

        assert 0o600 == stat.S_IMODE(token_file.stat().st_mode)
        assert 401 == call(port, "POST", "/api/telemetry/start")[0]
        assert 401 == call(port, "POST", "/api/telemetry/start", "wrong")[0]
        code, body = call(port, "GET", "/api/telemetry/config")
        assert (200, "***") == (code, body["config"]["influx_token"])
        assert (200, False) == tuple(at(call(port, "GET", "/api/telemetry/status"), "running"))
        assert (200, "running") == tuple(at(call(port, "POST", "/api/telemetry/start", token), "status"))
        assert (200, "running") == tuple(at(call(port, "POST", "/api/telemetry/start", token), "status"))
        until(lambda: call(port, "GET", "/api/telemetry/vms")[1]["count"] == 10)
        status = until(lambda: running_status(port))
        assert (True, 10) == (status["running"], status["vms_monitored"])
        assert (200, "stopped") == tuple(at(call(port, "POST", "/api/telemetry/stop", token), "status"))
        assert (200, False) == tuple(at(call(port, "GET", "/api/telemetry/status"), "running"))
    finally:
        console.terminate()
        console.wait(60)
    canary_is_nowhere(environment["RACKSTREAM_DATA_DIR"], log.read_text(), json.dumps(status))
    assert token not in log.read_text()


def at(answer, name):
    return answer[0], answer[1][name]


def running_status(port):
    status = call(port, "GET", "/api/telemetry/status")[1]
    return status if status["total_collections"] >= 2 else None


def answers(port):
    try:
        return call(port, "GET", "/healthz")[0] == 200
    except OSError:
        return False


def test_a_console_without_configuration_says_what_to_do_and_nothing_of_its_insides(environment, tmp_path, monkeypatch):
    from fastapi.testclient import TestClient
    from pydantic import SecretStr

    from rackstream.api.app import create_app
    from rackstream.control import CollectorControl
    from rackstream.view.model import View
    from runtime.settings import KafkaSettings

    monkeypatch.delenv("LIBVIRT_URI")
    settings = KafkaSettings.read()
    with TestClient(create_app(settings, lambda: settings, CollectorControl(), SecretStr("t"), View())) as client:
        answer = client.get("/api/telemetry/status")

    assert 503 == answer.status_code
    assert {"detail": "settings are missing or wrong; see the console's log"} == answer.json()
