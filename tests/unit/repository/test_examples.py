"""The recipes in `examples/` do what they say."""

import asyncio
import logging
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from producers.app import EventType

FILES = Path(__file__).parents[3] / "examples"


def example(name):
    return SimpleNamespace(**runpy.run_path(str(FILES / f"{name}.py")))


def test_every_recipe_is_tested():
    assert {"fastapi_app", "flask_app", "kafka_events", "logging_events", "timing"} == {
        path.stem for path in FILES.glob("*.py")
    }, "kafka_events is tested in tests/e2e/producers/test_app_kafka.py"


def reported(collector):
    """(route, status) of the metrics and messages of the events."""
    flushed = collector.flush()
    for metric in flushed.metrics:
        assert ("http_request_duration", "ms", "GET") == (metric.name, metric.unit, metric.tags["method"])
        assert 0 < metric.value < 60_000
    assert {EventType.ERROR} >= {event.event_type for event in flushed.events}
    return [(metric.tags["route"], metric.tags["status"]) for metric in flushed.metrics], [
        event.message for event in flushed.events
    ]


def test_flask_requests_are_metrics_and_failures_events():
    ran = example("flask_app")
    client = ran.app.test_client()

    assert {"user": 5, "tenth": 2} == client.get("/users/5").json
    assert [500, 404] == [client.get(path).status_code for path in ("/users/0", "/nothing")]
    route = "/users/<int:number>"
    assert ([(route, 200), (route, 500), ("unknown", 404)], ["GET /users/0 failed"]) == reported(ran.collector)


async def asked(app, path):
    """One GET of an ASGI app; its status."""
    statuses = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    await app(scope, receive, send)
    return statuses[0]


def test_fastapi_requests_are_metrics_and_failures_events():
    ran = example("fastapi_app")

    assert 200 == asyncio.run(asked(ran.app, "/users/5"))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asked(ran.app, "/users/0"))
    assert 404 == asyncio.run(asked(ran.app, "/nothing"))
    route = "/users/{number}"
    assert ([(route, 200), (route, 500), ("unknown", 404)], ["GET /users/0 failed"]) == reported(ran.collector)


def test_a_fastapi_app_that_stops_has_delivered_what_was_buffered():
    ran = example("fastapi_app")

    async def life():
        async with ran.lifespan(ran.app):
            ran.collector.collect_event("web", "m")

    asyncio.run(life())
    assert ["m"] == [event.message for event in ran.collector.storage.retrieve().events]


def test_warnings_of_any_logger_are_events():
    ran = example("logging_events")
    handler = ran.set_up()
    try:
        ran.charge(17, {})
        logging.getLogger("shop").info("not of interest")
    finally:
        logging.getLogger().removeHandler(handler)
    [event] = ran.collector.flush().events

    assert ("shop.billing", "order 17 not charged", 17) == (event.source, event.message, event.metadata["order"])
    assert "KeyError: 'purse'" in event.metadata["exception"]


def test_blocks_and_functions_are_timed_and_counted():
    ran = example("timing")

    assert (6, 3, "A") == (ran.resize(["one", "two"]), ran.checksum(b"\1\2"), asyncio.run(ran.fetch("a")))
    assert (0.5, 1.5) == (ran.command(2), ran.batch([1, 2]))
    with pytest.raises(ZeroDivisionError):
        ran.command(0)
    assert ["resize", "checksum", "fetch"] == [metric.name for metric in ran.collector.flush().metrics]
    assert [3, 2, 1] == list(ran.commands.stats.values())[:3]
