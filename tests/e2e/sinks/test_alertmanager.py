"""Alerts in a real Alertmanager, with the routes that compose/ gives it."""

import json
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from rackstream.local import ports
from tests.e2e.sinks.test_webhook import sink
from tests.e2e.support.parts import publish, until
from tests.e2e.support.transitions import alert, cleared

CONFIG = Path(__file__).parents[3] / "compose/alertmanager/alertmanager.yml"
PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
AMTOOL = shutil.which("amtool")

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(not PROGRAM or not AMTOOL, reason="no Alertmanager here: Debian's prometheus-alertmanager"),
]


@contextmanager
def alertmanager(directory):
    """A URL."""
    url = f"http://127.0.0.1:{ports.free_port()}"
    address = url.removeprefix("http://")
    options = [f"--config.file={CONFIG}", f"--storage.path={directory}", f"--web.listen-address={address}"]
    process = subprocess.Popen([PROGRAM, *options, "--cluster.listen-address="], stderr=subprocess.DEVNULL)
    try:
        until(lambda: answer(f"{url}/-/ready") is not None)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def answer(url):
    try:
        with urlopen(url, timeout=5) as response:
            return response.read()
    except (URLError, OSError):
        return None


def active(url):
    """Component → its alert, of those that Alertmanager has as active."""
    found = json.loads(answer(f"{url}/api/v2/alerts") or "[]")
    return {each["labels"]["component"]: each for each in found if each["status"]["state"] == "active"}


def test_alertmanager_accepts_the_routes():
    done = subprocess.run([AMTOOL, "check-config", CONFIG], text=True, capture_output=True)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_alerts_appear_with_their_labels_are_routed_by_severity_and_end(kafka, tmp_path):
    labels = {"rack": "r1"}
    with alertmanager(tmp_path) as url, sink(kafka, url, kind="alertmanager"):
        publish(kafka, "alerts", alert("cpu", severity="critical", labels=labels), alert("fan", labels=labels))
        until(lambda: {"1/cpu", "1/fan"} == active(url).keys())
        found = active(url)
        publish(kafka, "alerts", alert("cpu", 1, severity="critical", labels=labels), cleared("fan", labels=labels))
        until(lambda: {"1/cpu"} == active(url).keys())
        revised = active(url)["1/cpu"]

    assert {
        "alertname": "temperature-high", "host": "h1", "component": "1/cpu", "severity": "critical", "rack": "r1"
    } == found["1/cpu"]["labels"]  # fmt: skip
    assert ("night", "day") == tuple(found[name]["receivers"][0]["name"] for name in ("1/cpu", "1/fan"))
    assert ("cpu is hot", "91") == tuple(found["1/cpu"]["annotations"][name] for name in ("summary", "value"))
    assert found["1/cpu"]["fingerprint"] == revised["fingerprint"]
