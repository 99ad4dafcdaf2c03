"""What subscribers and people at a terminal see of alerts: what is active first, then each transition, once."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rackstream.alerts.active import AlertFollower
from rackstream.local import ports
from tests.e2e.support.parts import part, publish, running, until
from tests.e2e.support.transitions import alert, cleared

pytestmark = pytest.mark.kafka
PAGE = Path(__file__).parents[3] / "docs" / "stream.md"


class Reading:
    """The lines that a process prints, as they come."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self._thread.join(10)
        self.process.stdout.close()


def test_the_consumer_in_the_documentation_gets_what_is_active_and_then_what_comes(kafka, tmp_path):
    (code,) = re.findall(r"```python\n(from confluent_kafka import .*?)```", PAGE.read_text(), re.DOTALL)
    port = ports.free_port()
    for documented, here in {
        "http://127.0.0.1:8000": f"http://127.0.0.1:{port}",
        "127.0.0.1:9092": kafka.bootstrap,
        "fleet.alerts": kafka.catalog["alerts"].name,
    }.items():
        assert documented in code
        code = code.replace(documented, here)
    publish(kafka, "alerts", alert("over"), cleared("over"), alert("lasts"), alert("lasts", 1, host="h1"))
    publish(kafka, "alerts", alert("b", host="h2"), alert("c", host="h5"))
    console = part(kafka, "console", "serve", "--port", str(port))
    with running(console), Reading([sys.executable, "-c", code], console.environment) as reading:
        until(lambda: len(reading.lines) >= 3)
        publish(kafka, "alerts", cleared("lasts", 2), alert("d", host="h2"))
        until(lambda: len(reading.lines) >= 5)

    found = [line.split()[:3] for line in reading.lines]
    assert [["b", "0", "raised"], ["c", "0", "raised"], ["lasts", "1", "updated"]] == sorted(found[:3])
    assert [["d", "0", "raised"], ["lasts", "2", "cleared"]] == sorted(found[3:])


def test_alerts_shows_what_is_active_with_what_mutes_it_and_follows(kafka):
    environment = part(kafka, "x", COLUMNS="200").environment
    command = [sys.executable, "-m", "rackstream"]

    def rackstream(*arguments):
        done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    publish(kafka, "alerts", alert("over"), cleared("over"), alert("a"), alert("b", host="h2", severity="critical"))
    made = json.loads(rackstream("silence", "add", "host=h1", "--for", "2h", "--why", "fan", "--who", "ann", "--json"))
    with Reading([*command, "alerts", "--follow", "--json"], environment) as reading:
        until(lambda: len(reading.lines) >= 2)
        publish(kafka, "alerts", cleared("b", host="h2"), alert("e"))
        until(lambda: len(reading.lines) >= 4)
    shown = [json.loads(line) for line in reading.lines]

    assert [("b", []), ("a", [f"silence {made['id']}"])] == [(each["id"], each["muted_by"]) for each in shown[:2]]
    assert [("b", 1), ("e", 0)] == sorted((each["id"], each["revision"]) for each in shown[2:])
    assert made == json.loads(rackstream("silence", "list", "--json"))
    rackstream("silence", "end", made["id"])
    assert "" == rackstream("silence", "list", "--json")
    table = rackstream("alerts", "--host", "h1", "--severity", "warning")
    assert "temperature-high" in table
    assert "critical" not in table


def test_nothing_is_missed_or_told_twice_between_what_is_active_and_what_comes(kafka):
    """Alerts are raised, cleared and silenced all the while; a reader that begins at any moment sees every alert."""
    stop, done = threading.Event(), []

    def produce():
        while not stop.is_set() or len(done) % 2:
            number = len(done) // 2
            publish(
                kafka, "alerts", cleared(f"n{number}") if len(done) % 2 else alert(f"n{number}", host=f"h{number % 5}")
            )
            done.append(number)

    producing = threading.Thread(target=produce, daemon=True)
    producing.start()
    until(lambda: len(done) > 50)
    shown = AlertFollower(kafka)
    found = shown.active()
    until(lambda: len(done) > 150)
    stop.set()
    producing.join(20)
    last = f"n{done[-1]}"
    over = threading.Event()
    for transition in shown.transitions(over.is_set):
        found.append(transition)
        if transition["id"] == last and transition["transition"] == "cleared":
            over.set()
    shown.close()

    keys = [(each["id"], each["revision"]) for each in found]
    assert len(keys) == len(set(keys))
    first = min(int(name[1:]) for name, _ in keys)
    expected = {(f"n{number}", revision) for number in range(first + 1, done[-1] + 1) for revision in (0, 1)}
    assert expected <= set(keys)
