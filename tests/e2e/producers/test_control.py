"""Start and stop of a fleet through Kafka: what producers do, whoever commands it, and what consoles say of it."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from fastapi.testclient import TestClient
from pydantic import SecretStr

from producers.control.planner import NoSuchTarget
from rackstream.alerts.active import AlertFollower
from rackstream.api.app import create_app
from rackstream.control import CollectorControl, FleetControl
from rackstream.local import ports
from rackstream.local.broker import EmbeddedKafka
from rackstream.simulators.faults import InjectedFault
from rackstream.simulators.redfish import RedfishSimulator
from rackstream.view.model import View
from runtime import compacted_topic, topics
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from schemas.testing import make_record
from tests.e2e.support.parts import part, publish, records, running, until
from tests.e2e.support.transitions import alert

pytestmark = pytest.mark.kafka
TOKEN = "token-of-the-control-test"


@pytest.fixture
def console(kafka):
    return FleetControl(lambda: kafka)


@pytest.fixture
def bmcs():
    with RedfishSimulator(2, username="monitor", password="secret") as simulator:
        yield simulator


def status(settings, host):
    found = {each["host"]: each for each in compacted_topic.read_latest(settings, "state-targets").values()}
    return found.get(host) or {"status": None}


def is_up(settings, host):
    return status(settings, host)["status"] == "up"


def redfish(settings, tmp_path, bmcs):
    """A producer of two BMCs, a and b."""
    (tmp_path / "password").write_text("secret")
    targets = [{"host": host, "address": url} for host, url in zip("ab", bmcs.urls, strict=True)]
    section = {"interval": 0.5, "username": "monitor", "password": f"file:{tmp_path}/password", "targets": targets}
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump({"redfish": section}))
    return part(settings, "producer", "producer", "redfish", "--fleet", str(tmp_path / "fleet.yaml"))


def hosts(settings, tmp_path, *names):
    """A producer of targets that cost nothing: this machine under other names."""
    section = {"interval": 0.2, "targets": [{"host": name} for name in names]}
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump({"host": section}))
    return part(settings, "producer", "producer", "host", "--fleet", str(tmp_path / "fleet.yaml"))


def asked(bmcs):
    return [bmc.statistics()["requests"] for bmc in bmcs.bmcs]


def test_a_stopped_target_is_not_polled_and_has_no_session_until_it_is_started(kafka, tmp_path, bmcs, console):
    with running(redfish(kafka, tmp_path, bmcs)):
        until(lambda: is_up(kafka, "a") and is_up(kafka, "b"))
        said = console.stop("redfish", "a", by="ann", reason="new PSU")
        until(lambda: not bmcs.bmcs[0].sessions.ids)
        before = asked(bmcs)
        after = until(lambda: (now := asked(bmcs))[1] >= before[1] + 40 and now)  # what the other is asked meanwhile
        found = until(lambda: (known := status(kafka, "a"))["session_uri"] is None and known)

        assert "redfish of a: stopped, 1 target" == said["message"]
        assert {"targets": 1, "running": 0, "stopped": 1, "pending": 0} == said["observed"]
        assert before[0] == after[0]
        assert before[1] < after[1], "the other is polled as ever"
        assert ("stopped", "stopped by ann: new PSU", "ann") == tuple(
            found[name] for name in ("status", "detail", "stopped_by")
        )
        assert (False, 0) == (found["removed"], found["control_offset"])

        assert 0 == console.start("redfish", "a", by="bob")["observed"]["pending"]
        until(lambda: is_up(kafka, "a") and asked(bmcs)[0] > after[0])
        assert (None, 1) == (status(kafka, "a")["stopped_by"], status(kafka, "a")["control_offset"])

    assert [(2, 2), (1, 1)] == [(bmc.sessions.opened, bmc.sessions.closed) for bmc in bmcs.bmcs]
    assert {"a", "b"} == {record["host"] for record in records(kafka, "raw-redfish") if record["category"] != "removed"}


def test_a_producer_that_starts_while_all_is_stopped_asks_nobody_and_beats(kafka, tmp_path, bmcs, console):
    console.stop(None, None, by="ann", wait_s=0)
    with running(redfish(kafka, tmp_path, bmcs)) as supervisor:
        beat = until(lambda: records(kafka, "heartbeats"))[0]
        until(lambda: {"stopped"} == {status(kafka, host)["status"] for host in "ab"})
        first = status(kafka, "a")
        supervisor.kill("producer")
        until(lambda: status(kafka, "a")["epoch"] != first["epoch"], tend=supervisor.run_periodic)
        again = status(kafka, "a")
        assert [0, 0] == asked(bmcs)

        console.start(None, None, by="ann")
        until(lambda: is_up(kafka, "a") and is_up(kafka, "b"))

    assert (2, 2, ["a", "b"]) == (beat["targets"], beat["stopped_count"], beat["stopped"])
    assert ("stopped", first["since"]) == (again["status"], again["since"])


def test_commands_in_quick_succession_end_as_the_last_one_has_it(kafka, tmp_path, bmcs, console):
    """A poll is under way all the while: two of one category at once would be two sessions or a lost record."""
    with running(redfish(kafka, tmp_path, bmcs)):
        until(lambda: is_up(kafka, "a"))
        bmcs.set_fault(0, InjectedFault.create("latency", 0.7))
        for _ in range(4):
            console.stop(None, "a", by="ann", wait_s=0)
            console.start(None, "a", by="ann", wait_s=0)
        polls = until(lambda: (known := status(kafka, "a"))["control_offset"] == 7 and known)["polls"]
        bmcs.set_fault(0, None)
        until(lambda: is_up(kafka, "a") and status(kafka, "a")["polls"] >= polls)
        console.stop(None, "a", by="ann")
        until(lambda: not bmcs.bmcs[0].sessions.ids)

    sessions = bmcs.bmcs[0].sessions
    assert (1, sessions.opened) == (sessions.max_open, sessions.closed)


def test_two_consoles_command_at_once_and_both_are_obeyed(kafka, tmp_path):
    names = [f"h{n}" for n in range(8)]
    consoles = [FleetControl(lambda: kafka), FleetControl(lambda: kafka)]
    with running(hosts(kafka, tmp_path, *names)):
        until(lambda: all(is_up(kafka, name) for name in names))
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(lambda n: consoles[n % 2].stop("host", f"h{n}", by=f"c{n % 2}"), range(4)))
        told = [each.state() for each in consoles]
        with pytest.raises(NoSuchTarget, match="no target is called h44; did you mean h4"):
            consoles[0].stop(None, "h44", by="c0")
        kept = consoles[1].start("host", None, by="c1")

    assert [0] * 4 == [each["observed"]["pending"] for each in said]
    assert told[0] == told[1]
    assert {"host": {"targets": 8, "running": 4, "stopped": 4, "pending": 0}} == told[0]["observed"]
    assert [f"target:host:h{n}" for n in range(4)] == [each["key"] for each in told[0]["desired"]]
    assert {"targets": 8, "running": 4, "stopped": 4, "pending": 0} == kept["observed"]
    assert "4 stay stopped" in kept["message"]


def test_while_kafka_is_away_the_last_known_holds(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("KAFKA_")]:
        monkeypatch.delenv(name)
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, partitions=1, data_dir=tmp_path / "data")
        topics.create(settings)
        topics.publish_schemas(settings)
        console = FleetControl(lambda: settings)
        with (
            RedfishSimulator(2, username="monitor", password="secret") as bmcs,
            running(redfish(settings, tmp_path, bmcs)),
        ):
            until(lambda: is_up(settings, "a") and is_up(settings, "b"))
            console.stop(None, "a", by="ann")
            until(lambda: not bmcs.bmcs[0].sessions.ids)
            broker.kill()
            before = asked(bmcs)
            with pytest.raises(Retry, match="no answer from Kafka"):
                console.start(None, "a", by="ann")
            until(lambda: asked(bmcs)[1] > before[1])
            assert before[0] == asked(bmcs)[0]
            broker.start()
            until(lambda: console.start(None, "a", by="ann")["observed"]["running"])
            until(lambda: asked(bmcs)[0] > before[0])


def test_what_a_stopped_target_last_said_is_shown_and_muted_by_who_stopped_it(kafka):
    stop = {"status": "stopped", "detail": "stopped by ann: new fan", "stopped_by": "ann"}
    publish(kafka, "state-targets", make_record("TargetStatus", source="redfish", host="h1", producer="p", **stop))
    publish(kafka, "alerts", alert("a", host="h1"), alert("b", host="h2"))

    def muted():
        shown = AlertFollower(kafka)
        found = {each["id"]: each["muted_by"] for each in shown.active()}
        shown.close()
        return found

    assert {"a": [], "b": []} == muted(), "any producer may write such a status"
    command = make_record("Control", key="host:h1", desired="stopped", by="ann", reason="new fan")
    publish(kafka, "control", command)
    assert {"a": ["stopped by ann: new fan"], "b": []} == muted()


def call(port, method, path, token=None, **body):
    """Status and JSON of an answer of the console."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if body:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_fleet_is_started_and_stopped_over_http_and_at_the_terminal(kafka, tmp_path, monkeypatch):
    monkeypatch.delenv("LIBVIRT_URI", raising=False)
    port = ports.free_port()
    console = part(kafka, "console", "serve", "--port", str(port), RACKSTREAM_API_TOKEN=TOKEN)
    with running(hosts(kafka, tmp_path, "a", "b"), console):
        until(lambda: is_up(kafka, "a") and is_up(kafka, "b"))
        assert [401, 401] == [call(port, "POST", f"/api/control/{verb}", "wrong")[0] for verb in ("start", "stop")]
        assert 404 == (missing := call(port, "POST", "/api/control/stop", TOKEN, host="zzz"))[0]
        assert "rackstream targets status" in missing[1]["detail"]
        assert 422 == call(port, "POST", "/api/control/stop", TOKEN, hosts="a")[0]

        code, said = call(port, "POST", "/api/control/stop", TOKEN, host="a", reason="new fan")
        assert (200, "stopped", 0) == (code, said["status"], said["observed"]["pending"])
        assert ("host:a", "new fan") == (said["desired"]["key"], said["desired"]["reason"])
        assert "stopped by REST from 127.0.0.1: new fan" == status(kafka, "a")["detail"]
        assert {"targets": 2, "running": 1, "stopped": 1, "pending": 0} == call(port, "GET", "/api/control")[1][
            "observed"
        ]["host"]

        # The telemetry calls are about the fleet where no hypervisor of one's own is configured.
        assert (200, {"status": "stopped", "message": "all targets: stopped, 2 targets"}) == call(
            port, "POST", "/api/telemetry/stop", TOKEN
        )
        assert False is call(port, "GET", "/api/telemetry/status")[1]["running"]
        assert (
            0 == rackstream(console, "targets", "resume", "--source", "host", "--host", "a", "--who", "ann").returncode
        )
        told = json.loads(rackstream(console, "targets", "commands", "--json").stdout)
        assert ["*", "host:a", "target:host:a"] == [each["key"] for each in told["desired"]]
        assert {"host": {"targets": 2, "running": 1, "stopped": 1, "pending": 0}} == told["observed"]
        wrong = rackstream(console, "targets", "pause", "--source", "redfish")
        assert (2, "rackstream: redfish has no targets; sources with targets: host\n") == (
            wrong.returncode,
            wrong.stderr,
        )
        assert "running" == call(port, "POST", "/api/telemetry/start", TOKEN)[1]["status"]
        figures = call(port, "GET", "/api/telemetry/status")[1]

    assert (True, {"targets": 2, "running": 2, "stopped": 0, "pending": 0}) == (figures["running"], figures["targets"])
    assert figures["total_collections"] > 0


def rackstream(console, *arguments):
    command = [sys.executable, "-m", "rackstream", *arguments]
    return subprocess.run(command, env=console.environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_console_without_kafka_says_so(tmp_path):
    settings = KafkaSettings.read(bootstrap=f"127.0.0.1:{ports.free_port()}", data_dir=tmp_path)
    with TestClient(create_app(settings, lambda: settings, CollectorControl(), SecretStr("t"), View())) as client:
        answer = client.post("/api/control/stop", headers={"Authorization": "Bearer t"})

    assert 503 == answer.status_code
    assert "127.0.0.1" not in answer.text
