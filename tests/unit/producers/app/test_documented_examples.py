"""Every code example of seed 002 runs, with `telemetry` imported as `producers.app`."""

import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from producers.app import EventType, TelemetryCollector, TelemetryConfig
from producers.app.storage import FileStorage, MemoryStorage
from producers.app.streaming import TelemetryStream

CASES = Path(__file__).parents[3] / "cases" / "seeds" / "002.md"
EXAMPLES = dict(re.findall(r"^## (.+?)\n\n```python\n(.*?)^```", CASES.read_text(), re.MULTILINE | re.DOTALL))
APART = ("Web Application", "Background Service")
"""Looked at by tests of their own."""


def execute(title, names, tmp_path):
    """Runs one example in these names. Paths are the test's."""
    text = EXAMPLES[title].replace("from telemetry", "from producers.app")
    text = text.replace("/path/to", str(tmp_path)).replace("/var/log", str(tmp_path))
    exec(compile(text, title, "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture
def given():
    """What the examples take for granted."""
    collector = TelemetryCollector(TelemetryConfig(flush_interval=3600))
    storage = MemoryStorage()
    collector.collect_event("before", "an event")
    return {
        "__name__": "__main__",
        "EventType": EventType,
        "FileStorage": FileStorage,
        "MemoryStorage": MemoryStorage,
        "TelemetryConfig": TelemetryConfig,
        "TelemetryStream": TelemetryStream,
        "collector": collector,
        "config": collector.config,
        "data": collector.flush(),
        "datetime": datetime,
        "logger": SimpleNamespace(error=pytest.fail),
        "process": lambda data: None,
        "storage": storage,
        "stream": TelemetryStream(collector, storage, interval=3600),
        "telemetry_data": collector.storage.retrieve(),
    }


def test_there_are_all_examples_of_the_document():
    assert 25 == len(EXAMPLES)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the seed's, from Python 3.12
@pytest.mark.parametrize("title", [title for title in EXAMPLES if title not in APART])
def test_an_example_runs(title, given, tmp_path):
    execute(title, given, tmp_path)
    given["stream"].stop()

    assert [0, 0, 0] == [given["collector"].listener_errors, given["collector"].storage_errors,
                         given["stream"].consumer_errors]  # fmt: skip


def test_the_quick_start_collects_what_it_says(given, tmp_path):
    ran = execute("Quick Start", given, tmp_path)
    flushed = ran.collector.flush()
    [event], [metric] = flushed.events, flushed.metrics

    assert ("my_app", "User logged in", EventType.INFO, {"user_id": "123"}) == (
        event.source, event.message, event.event_type, event.metadata)  # fmt: skip
    assert ("response_time", 125.5, "ms", {"endpoint": "/api/users"}) == (
        metric.name, metric.value, metric.unit, metric.tags)  # fmt: skip


def test_the_configuration_shown_is_the_default(given, tmp_path):
    assert TelemetryConfig() == execute("TelemetryConfig", given, tmp_path).config


def test_a_stored_batch_is_retrieved(given, tmp_path):
    assert 1 == len(execute("FileStorage", given, tmp_path).data.events)


def test_the_consumer_shown_is_given_what_is_collected(given, tmp_path, capsys):
    ran = execute("add_consumer()", given, tmp_path)
    with ran.stream:
        ran.collector.collect_event("s", "hello")
        ran.collector.collect_metric("n", 2)

    assert "Event: hello\nMetric: n = 2.0\n" == capsys.readouterr().out


def test_the_web_application_answers_and_reports(given, tmp_path):
    ran = execute("Web Application", given, tmp_path)

    @ran.app.before_request  # the seed leaves to the reader where request.request_time comes from
    def measured():
        ran.request.request_time = 12.5

    @ran.app.get("/hello")
    def hello():
        return "hello"

    assert "hello" == ran.app.test_client().get("/hello").text
    flushed = ran.collector.flush()
    assert ["Request: GET /hello"] == [event.message for event in flushed.events]
    assert [(12.5, {"status": 200})] == [(metric.value, metric.tags) for metric in flushed.metrics]


class Enough(Exception):
    """Ends the example's endless loop."""


def test_the_background_service_reports_and_warns(given, tmp_path, monkeypatch):
    def sleep(seconds):
        assert 60 == seconds
        raise Enough

    ran = execute("Background Service", given | {"get_cpu_usage": lambda: 81, "get_memory_usage": lambda: 5}, tmp_path)
    monkeypatch.setattr(ran.time, "sleep", sleep)
    with pytest.raises(Enough):
        ran.monitoring_loop()
    flushed = ran.collector.flush()

    assert [("cpu_usage", 81, "percent"), ("memory_usage", 5, "MB")] == [
        (metric.name, metric.value, metric.unit) for metric in flushed.metrics
    ]
    assert [("High CPU: 81%", EventType.WARNING)] == [(event.message, event.event_type) for event in flushed.events]
