"""`rackstream top` in a real terminal, on a real Kafka: what is on the screen, a silence, Kafka that goes and comes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from rackstream.alerts import silences
from rackstream.cli import cli
from rackstream.local.broker import EmbeddedKafka
from runtime import topics
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas.testing import make_raw_record, make_record
from tests.e2e.support.parts import publish, until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (apt-get install tmux)"),
]
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)[;m]")
RICH = re.compile(r"\x1b\[(?:\d+;)*[34]8;")
"""More than 16 colours."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a Kafka of its own, which holds a fleet: the directory, and that Kafka."""
    directory = tmp_path_factory.mktemp("top")
    with EmbeddedKafka(directory) as broker:
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, partitions=2, data_dir=directory)
        topics.create(settings)
        topics.publish_schemas(settings)
        publish_fleet(settings, "node-1", "node-2")
        yield directory, broker


def publish_fleet(settings, *hosts):
    """A thermal sample, a status and an alert of each host."""
    now = datetime.now(UTC)
    for host in hosts:
        hot = make_record("RedfishTemperature", sensor_id="t", sensor_name="CPU", reading_celsius=91.0,
                   upper_threshold_critical=100.0)  # fmt: skip
        sample = make_raw_record("RedfishSample", host=host, category="thermal", temperatures=[hot]) | {
            "observed_at": now
        }
        status = make_record("TargetStatus", host=host, source="redfish", status="up", since=now, observed_at=now)
        alert = make_record("Alert", id=f"{host}|hot", host=host, rule="temperature-high", transition="raised",
                     text=f"{host} is hot", severity="critical", started_at=now, observed_at=now)  # fmt: skip
        publish(settings, "raw-redfish", sample)
        publish(settings, "state-targets", status)
        publish(settings, "alerts", alert)


def command(directory, *arguments):
    return [sys.executable, "-m", "rackstream", "top", *arguments, "--data-dir", str(directory)]


def clean():
    return {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RACKSTREAM_"))}


class Terminal:
    """A tmux of its own, 80 by 24, in which one command runs."""

    def __init__(self, directory, command, **environment):
        self._tmux = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
        set_ = [f"{name}={value}" for name, value in environment.items()]
        shell = f"{shlex.join(['env', *set_, *command])}; echo ended with $?; exec sleep 600"
        subprocess.run([*self._tmux, "new-session", "-d", "-x", "80", "-y", "24", shell], check=True, env=clean())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*self._tmux, "kill-server"], check=True)

    def screen(self, *options):
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p", *options], check=True, capture_output=True, text=True
        ).stdout

    def keys(self, *keys):
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def shows(self, pattern, timeout_s=60):
        try:
            until(lambda: re.search(pattern, self.screen()), timeout_s=timeout_s)
        except AssertionError:
            print(self.screen())
            raise


def test_in_a_terminal_it_is_steered_by_keys_in_16_colours_survives_kafkas_absence_and_ends_by_q(place, tmp_path):
    directory, broker = place
    with Terminal(tmp_path, command(directory), TERM="xterm", COLORTERM="") as terminal:
        terminal.shows(r"2 hosts.*2 alerts \(2 critical\)")
        terminal.shows(r"node-1 +unknown +redfish up .*91.0 °C of 100")
        coloured = terminal.screen("-e")
        assert COLOUR.search(coloured)
        assert not RICH.search(coloured)

        terminal.keys("a")
        terminal.shows(r"critical +node-2 +.*node-2 is hot")
        terminal.keys("m")
        terminal.shows("host=node-. rule=temperature-high")
        terminal.keys("new fan", "Enter")
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, data_dir=directory)
        [silence] = until(lambda: silences.read_silences(settings))
        assert "new fan" == silence["why"]
        assert {"rule", "host"} == {matcher["name"] for matcher in silence["matchers"]}
        terminal.shows(rf"Silences(.|\n)*host=node-.*{silence['why']}")
        terminal.shows("Muted by(.|\n)*silence")

        broker.stop()
        terminal.shows("Kafka has not answered since")
        assert "node-2 is hot" in terminal.screen()
        broker.start()
        terminal.keys("f")
        publish_fleet(KafkaSettings.read(bootstrap=broker.bootstrap, data_dir=directory), "node-3")
        terminal.shows(r"3 hosts")
        terminal.shows(r"node-3 .*91.0 °C")
        assert "Kafka has not answered" not in terminal.screen()

        terminal.keys("q")
        terminal.shows("ended with 0")


def test_no_color_is_respected(place, tmp_path):
    with Terminal(tmp_path, command(place[0]), TERM="xterm-256color", NO_COLOR="1") as terminal:
        terminal.shows(r"node-1 +unknown +redfish up")
        assert not COLOUR.search(terminal.screen("-e"))
        terminal.keys("q")
        terminal.shows("ended with 0")


def output(directory, *arguments):
    """Output of the command."""
    result = CliRunner().invoke(cli, ["top", *arguments, "--data-dir", str(directory)])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_one_picture_and_one_object_for_scripts(place, monkeypatch):
    for name in os.environ.keys() - clean().keys():
        monkeypatch.delenv(name)
    picture = output(place[0], "--once")
    assert re.search(r"node-1 +unknown +redfish up .*91.0 °C of 100 CPU", picture)
    assert "\x1b" not in picture
    assert "CPU" in output(place[0], "node-1", "--once")
    assert json.loads(output(place[0], "--json"))["statuses"]["up"] >= 2
    assert "node-1" == json.loads(output(place[0], "node-1", "--json"))["row"]["name"]
    with pytest.raises(Misconfigured, match="unknown host nobody"):
        output(place[0], "nobody", "--once")


def test_where_no_kafka_runs_that_is_told_and_the_screen_is_left_alone(tmp_path, monkeypatch):
    for name in os.environ.keys() - clean().keys():
        monkeypatch.delenv(name)
    with pytest.raises(Misconfigured, match="no Kafka runs"):
        output(tmp_path)
