"""A real Prometheus scrapes a running demo: every documented metric is there, none other, and the rules fire."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rackstream.local import ports
from runtime import metrics
from tests.e2e.support.influxdb import INFLUXD, Influx
from tests.e2e.support.parts import until
from tests.e2e.support.receiver import Receiver

FOLDER = Path(__file__).resolve().parents[3] / "compose" / "prometheus"
QUICKER = 10
"""All times of the rules, and between two scrapes, are divided by this."""
PROMETHEUS_OWN = {"up"} | {
    f"scrape_{each}"
    for each in ("duration_seconds", "samples_scraped", "samples_post_metric_relabeling", "series_added")
}
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(480),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on PATH: apt-get install prometheus"),
]


def quicker(text: str) -> str:
    """A copy of a configuration or of rules with shorter times; what is compared with is left as it is."""

    def divided(found: re.Match[str]) -> str:
        unit = {"s": 1000, "m": 60_000, "h": 3_600_000}[found[3]]
        return f"{found[1]}{int(found[2]) * unit // QUICKER}ms"

    return re.sub(r"(for: |_interval: |_timeout: |\[)(\d+)([smh])\b", divided, text)


class Asked:
    """Prometheus' answers."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    def __call__(self, what: str, **arguments: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{what}?{urllib.parse.urlencode(arguments)}", timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def reached(self) -> dict[str, str]:
        """Component → how its last scrape went."""
        try:
            return {target["labels"]["component"]: target["health"] for target in self("targets")["activeTargets"]}
        except (urllib.error.URLError, ConnectionError):
            return {}

    def firing(self) -> set[tuple[str, str]]:
        """Alert and component."""
        found = [alert["labels"] for alert in self("alerts")["alerts"] if alert["state"] == "firing"]
        return {(each["alertname"], each.get("component", "")) for each in found}

    def seen(self) -> dict[str, set[str]]:
        """Component → the metrics that there are samples of, histograms under their own names."""
        found: dict[str, set[str]] = {}
        for series in self("series", **{"match[]": '{job="rackstream", __name__!~"ALERTS.*"}'}):
            name = series["__name__"]
            if "le" in series or any(each.name == name.rpartition("_")[0] and each.buckets for each in metrics.METRICS):
                name = name.rpartition("_")[0]
            if name not in PROMETHEUS_OWN:
                found.setdefault(series["component"], set()).add(name)
        return found


@contextlib.contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RACKSTREAM_"))}
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, env=clean | environment) as process,
    ):
        try:
            yield process
        except BaseException:
            print(f"--- {log.name}\n{log.read_text()[-4000:]}")
            raise
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class Demo:
    """A demo that runs."""

    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def targets(self) -> Path:
        return self.directory / "prometheus" / "targets.json"

    def components(self) -> set[str]:
        """Those that Prometheus is told of."""
        assert self.process.poll() is None, "the demo ended"
        found = json.loads(self.targets.read_text()) if self.targets.exists() else []
        return {each["labels"]["component"] for each in found}

    def pid(self, command: str) -> int:
        """Of the part that runs this command."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", f"rackstream {command}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(found.stdout)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with all the sinks that it can have here."""
    folder = tmp_path_factory.mktemp("scraped")
    with contextlib.ExitStack() as stack:
        environment = {"RACKSTREAM_WEBHOOK_URL": stack.enter_context(Receiver()).url}
        if INFLUXD:
            influx = Influx(folder)
            influx.start()
            stack.callback(influx.kill)
            influx.query("create database fleet")
            environment |= {"INFLUX_URL": influx.url, "INFLUX_DB": "fleet", "INFLUX_TOKEN": "any:any"}
            environment |= {"RACKSTREAM_INFLUX_API": "v2"}
        command = [sys.executable, "-m", "rackstream", "demo", "--json", "--data-dir", str(folder / "demo")]
        process = stack.enter_context(running(command, folder / "demo.log", **environment))
        found = Demo(folder / "demo", process)
        until(lambda: "producer-redfish" in found.components(), timeout_s=90)
        yield found


@pytest.fixture(scope="module")
def asked(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A Prometheus with our configuration and rules, in quicker time, that looks at the demo's parts."""
    folder = tmp_path_factory.mktemp("prometheus")
    for name in ("prometheus.yml", "rules.yml"):
        (folder / name).write_text(quicker((FOLDER / name).read_text()))
    (folder / "targets").mkdir()
    (folder / "targets" / "here.json").symlink_to(demo.targets)
    port = ports.free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with running(command, folder / "log"):
        answers = Asked(port)
        until(lambda: set(answers.reached().values()) == {"up"} and answers.reached().keys() == demo.components())
        yield answers


def documented(component: str) -> set[str]:
    return {each.name for each in metrics.METRICS if each.exported_by(component)} | metrics.CLIENT_METRICS.keys()


def test_every_documented_metric_is_there_and_none_other(demo: Demo, asked: Asked) -> None:
    expected = {component: documented(component) for component in demo.components()}
    # Lag is told every few seconds, the result of a poll when it has ended.
    with contextlib.suppress(AssertionError):
        until(lambda: asked.seen().items() >= expected.items())
    found = asked.seen()

    assert expected == found
    everywhere = set().union(*expected.values())
    missing = {each.name for each in metrics.METRICS} - everywhere
    assert missing == (set() if INFLUXD else {"rackstream_lines_stored_total"})


def test_no_label_of_ours_hides_one_of_prometheus(asked: Asked) -> None:
    assert [] == [each for each in asked("labels") if each.startswith("exported_")]


def test_ages_and_latencies_are_those_of_a_pipeline_that_keeps_up(asked: Asked) -> None:
    def mean(metric: str) -> dict[str, float]:
        query = f"sum by (hop) ({metric}_sum) / sum by (hop) ({metric}_count) > 0"
        return {each["metric"]["hop"]: float(each["value"][1]) for each in asked("query", query=query)["result"]}

    ages = until(lambda: len(found := mean("rackstream_sample_age_seconds")) == 4 and found)
    latencies = until(lambda: len(found := mean("rackstream_alert_latency_seconds")) == 2 and found, timeout_s=90)
    print(ages, latencies)

    assert max(ages.values()) < 30
    assert max(latencies.values()) < 30


def test_the_console_tells_the_same_targets_for_http_sd(demo: Demo) -> None:
    environment = Path(f"/proc/{demo.pid('serve')}/environ").read_bytes().decode().split("\0")
    port = dict(each.split("=", 1) for each in environment if each)["RACKSTREAM_CONSOLE_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/prometheus/targets", timeout=10) as answer:
        assert json.loads(answer.read()) == json.loads(demo.targets.read_text())


def test_a_producer_that_is_stopped_fires_an_alert_that_ends_with_it(demo: Demo, asked: Asked) -> None:
    down = ("RackstreamPartDown", "producer-redfish")
    assert down not in asked.firing()
    producer = demo.pid("producer redfish")
    os.kill(producer, signal.SIGSTOP)
    try:
        until(lambda: down in asked.firing())
    finally:
        os.kill(producer, signal.SIGCONT)
    until(lambda: down not in asked.firing())
