"""The collector of seed 002: what is collected is delivered once, in order, whatever threads and callbacks do."""

import asyncio
import logging
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest

from producers.app import (
    EventType,
    TelemetryCollector,
    TelemetryConfig,
    TelemetryData,
    TelemetryEvent,
    TelemetryHandler,
    TelemetryMetric,
)
from producers.app import delivery as deliveries
from producers.app.storage import DatabaseStorage, FileStorage, MemoryStorage
from producers.app.streaming import TelemetryStream

LATER = 3600.0
"""Seconds that no test waits."""


def collector(**config):
    return TelemetryCollector(TelemetryConfig(**{"flush_interval": LATER} | config))


def messages(data):
    return [event.message for event in data.events]


class Failing:
    """A storage that refuses the first batches."""

    def __init__(self, failures):
        self.failures = failures
        self.stored = []

    def store(self, data):
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.stored += messages(data)


def test_eight_threads_lose_nothing_repeat_nothing_and_keep_their_order():
    with collector(buffer_size=500, flush_interval=0.01) as ours:

        def work(thread):
            for number in range(50_000):
                ours.collect_event(str(thread), str(number))

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        by_hand = 0
        while any(thread.is_alive() for thread in threads):
            by_hand += len(ours.flush().events)
            time.sleep(0.02)

    found = {str(thread): [] for thread in range(8)}
    stored = ours.storage.retrieve().events
    for event in stored:
        found[event.source].append(int(event.message))
    assert {str(thread): list(range(50_000)) for thread in range(8)} == found
    assert 400_000 == len({event.event_id for event in stored})
    assert 0 < by_hand < 400_000


def test_eight_threads_into_a_file_lose_nothing(tmp_path):
    with collector(buffer_size=50, storage_backend="file", storage_path=tmp_path / "t.jsonl") as ours:

        def work(thread):
            for number in range(1000):
                ours.collect_metric(str(thread), number)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    found = FileStorage(tmp_path / "t.jsonl").retrieve().metrics
    for thread in range(8):
        assert list(range(1000)) == [metric.value for metric in found if metric.name == str(thread)]


def test_a_full_buffer_is_stored_and_a_flush_returns_what_is_left():
    ours = collector(buffer_size=3)
    for number in range(7):
        ours.collect_event("s", str(number))

    assert ["0", "1", "2", "3", "4", "5"] == messages(ours.storage.retrieve())
    assert ["6"] == messages(ours.flush())
    assert [] == messages(ours.flush())
    assert [str(number) for number in range(7)] == messages(ours.storage.retrieve())


def test_what_does_not_fill_the_buffer_is_stored_by_time():
    arrived = threading.Event()

    class Told(MemoryStorage):
        def store(self, data):
            super().store(data)
            arrived.set()

    ours = TelemetryCollector(TelemetryConfig(flush_interval=0.01), storage=Told())
    for number in range(3):  # the thread ends when nothing waits, and begins again
        arrived.clear()
        ours.collect_event("s", str(number))
        assert arrived.wait(60)
    assert ["0", "1", "2"] == messages(ours.storage.retrieve())


def test_where_no_thread_can_be_started_any_more_items_are_stored_at_once(monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    ours = collector()
    ours.collect_event("s", "m")

    assert ["m"] == messages(ours.storage.retrieve())


def test_a_disabled_collector_returns_none_even_when_its_configuration_is_wrong():
    ours = TelemetryCollector(TelemetryConfig(enabled=False, buffer_size=-1))

    assert ours.collect_event("s", "m") is None
    assert ours.collect_metric("m", 1) is None
    assert TelemetryData() == ours.flush()


def test_a_closed_collector_has_delivered_everything_and_returns_none():
    ours = collector()
    ours.collect_event("s", "m")
    ours.close()
    ours.close()

    assert ["m"] == messages(ours.storage.retrieve())
    assert ours.collect_event("s", "later") is None


def test_defaults_are_the_documents():
    assert TelemetryConfig(True, 100, 5.0, True, "memory", None) == TelemetryConfig()
    assert EventType.INFO is TelemetryCollector().collect_event("s", "m").event_type


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"buffer_size": 0}, ["buffer_size must be a whole number of items from 1, not 0"], id="no buffer"),
        pytest.param({"buffer_size": True}, ["buffer_size"], id="a flag as a size"),
        pytest.param({"buffer_size": "9"}, ["buffer_size"], id="text as a size"),
        pytest.param({"flush_interval": 0}, ["flush_interval must be seconds above 0, not 0"], id="no interval"),
        pytest.param({"flush_interval": float("nan")}, ["flush_interval"], id="NaN"),
        pytest.param({"enabled": "no"}, ["enabled must be True or False, not 'no'"], id="text as a flag"),
        pytest.param({"storage_backend": "tape"}, ["one of memory, file, database, not 'tape'"], id="no such backend"),
        pytest.param({"storage_backend": "file"}, ["needs storage_path"], id="a file without a path"),
        pytest.param({"storage_backend": "database"}, ["needs storage_path"], id="a database without a path"),
        pytest.param({"storage_path": 3}, ["storage_path must be a path"], id="a number as a path"),
        pytest.param(
            {"buffer_size": 0, "flush_interval": -1, "storage_backend": "tape"},
            ["buffer_size", "flush_interval", "storage_backend"],
            id="all at once",
        ),
    ],
)
def test_a_wrong_configuration_is_named_and_no_collector_takes_it(fields, says):
    for check in (TelemetryConfig(**fields).validate, lambda: TelemetryCollector(TelemetryConfig(**fields))):
        with pytest.raises(ValueError) as caught:
            check()
        assert [] == [each for each in says if each not in str(caught.value)]


@pytest.mark.parametrize(
    ("backend", "kind"), [("memory", MemoryStorage), ("file", FileStorage), ("database", DatabaseStorage)]
)
def test_each_backend_has_its_storage(tmp_path, backend, kind):
    with collector(storage_backend=backend, storage_path=str(tmp_path / "sub" / "t")) as ours:
        ours.collect_event("s", "m")

    assert kind is type(ours.storage)
    assert ["m"] == messages(ours.storage.retrieve())


def test_a_naive_time_is_utc():
    east = timezone(timedelta(hours=2))
    event = TelemetryEvent("1", datetime(2025, 1, 1, 12), EventType.INFO, "s", "m")  # noqa: DTZ001
    metric = TelemetryMetric("1", datetime(2025, 1, 1, 14, tzinfo=east), "m", 1)

    assert datetime(2025, 1, 1, 12, tzinfo=UTC) == event.timestamp == metric.timestamp


def test_metadata_is_as_it_was_when_collected():
    ours = collector()
    metadata = {"a": 1}
    ours.collect_event("s", "m", metadata=metadata)
    metadata["a"] = 2

    assert {"a": 1} == ours.flush().events[0].metadata


# Listeners


def test_a_listener_gets_each_item_at_once_and_it_is_stored_once():
    ours = collector()
    heard = []
    ours.add_listener(heard.append)
    event = ours.collect_event("s", "m")
    metric = ours.collect_metric("n", 1)

    assert [TelemetryData([event], []), TelemetryData([], [metric])] == heard
    assert TelemetryData([event], [metric]) == ours.flush() == ours.storage.retrieve()


def test_a_listener_that_was_removed_is_not_called():
    ours = collector()
    ours.add_listener(pytest.fail)
    ours.remove_listener(pytest.fail)
    ours.collect_event("s", "m")

    assert 0 == ours.listener_errors


def test_without_realtime_mode_no_listener_is_called():
    ours = collector(realtime_mode=False)
    ours.add_listener(pytest.fail)

    assert ours.collect_event("s", "m")
    assert 0 == ours.listener_errors


def test_a_listener_that_fails_is_counted_and_harms_nobody(caplog):
    ours = collector()
    heard = []
    ours.add_listener(lambda data: 1 / 0)
    ours.add_listener(heard.append)
    for _ in range(3):
        ours.collect_event("s", "m")

    assert (3, 3) == (ours.listener_errors, len(heard))
    assert 1 == len(caplog.records), "told once, then only counted"


def test_what_a_listener_collects_is_kept_and_not_announced():
    ours = collector()
    ours.add_listener(lambda data: ours.collect_event("listener", "heard"))
    ours.collect_event("s", "m")

    assert ["m", "heard"] == messages(ours.flush())


# Streams


def test_a_stream_has_its_items_to_itself_and_consumers_get_them_once():
    ours = collector(buffer_size=2)
    storage, heard = MemoryStorage(), []
    stream = TelemetryStream(ours, storage, interval=LATER)
    stream.add_consumer(lambda data: heard.extend(messages(data)))
    ours.add_listener(lambda data: None)
    ours.collect_event("s", "buffered before the start")
    stream.start()
    stream.start()
    for number in range(4):
        ours.collect_event("s", str(number))
    stream.stop()
    stream.stop()
    ours.collect_event("s", "after the stop")
    ours.flush()

    expected = ["buffered before the start", "0", "1", "2", "3"]
    assert (expected, expected) == (heard, messages(storage.retrieve()))
    assert ["after the stop"] == messages(ours.storage.retrieve())


def test_a_stream_flushes_by_its_interval():
    ours = collector()
    arrived = threading.Event()
    with TelemetryStream(ours, interval=0.01) as stream:
        stream.add_consumer(lambda data: arrived.set())
        assert stream.running
        ours.collect_event("s", "m")
        assert arrived.wait(60)

    assert not stream.running
    assert ["m"] == messages(ours.storage.retrieve()), "without a storage of its own the collector's has it"


def test_a_consumer_that_fails_is_counted_and_the_next_and_the_storage_get_the_batch():
    ours = collector()
    storage, heard = MemoryStorage(), []
    stream = TelemetryStream(ours, storage, interval=LATER)
    stream.add_consumer(lambda data: data.events.clear())
    stream.add_consumer(lambda data: 1 / 0)
    stream.add_consumer(heard.append)
    with stream:
        ours.collect_event("s", "m")

    assert 1 == stream.consumer_errors
    assert ["m"] == messages(heard[0]) == messages(storage.retrieve())


def test_a_consumer_may_collect_flush_and_stop_the_stream():
    ours = collector(buffer_size=1)
    stream = TelemetryStream(ours, MemoryStorage(), interval=LATER)
    heard = []

    def consumer(data):
        heard.extend(messages(data))
        if len(heard) < 3:
            ours.collect_event("consumer", str(len(heard)))
            ours.flush()
        else:
            stream.stop()

    stream.add_consumer(consumer)
    stream.start()
    ours.collect_event("s", "m")

    assert ["m", "1", "2"] == heard
    assert not stream.running


def test_a_thread_that_fills_the_buffer_does_not_wait_for_ever_for_a_consumer_that_waits_for_it():
    ours = collector(buffer_size=1)
    theirs = threading.Lock()
    inside = threading.Event()

    def consumer(data):
        inside.set()
        with theirs:
            pass

    storage = MemoryStorage()
    stream = TelemetryStream(ours, storage, interval=LATER)
    stream.add_consumer(consumer)
    stream.start()
    with theirs:
        other = threading.Thread(target=ours.collect_event, args=("s", "first"))
        other.start()
        assert inside.wait(60)
        ours.collect_event("s", "second")
    other.join(60)
    stream.stop()

    assert ["first", "second"] == messages(storage.retrieve())


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_a_stream_needs_an_interval(interval):
    with pytest.raises(ValueError, match="interval must be seconds above 0"):
        TelemetryStream(collector(), interval=interval)


# Storages that fail


def test_a_storage_that_failed_gets_the_same_items_in_their_order(caplog):
    storage = Failing(2)
    ours = TelemetryCollector(TelemetryConfig(buffer_size=2, flush_interval=LATER), storage=storage)
    for number in range(6):
        ours.collect_event("s", str(number))

    assert ["0", "1", "2", "3", "4", "5"] == storage.stored
    assert (2, 0) == (ours.storage_errors, ours.dropped)
    assert 1 == len(caplog.records)


def test_what_a_storage_refuses_for_too_long_makes_room_and_is_counted(monkeypatch):
    monkeypatch.setattr(deliveries, "MAX_HELD", 4)
    storage = Failing(5)
    ours = TelemetryCollector(TelemetryConfig(buffer_size=2, flush_interval=LATER), storage=storage)
    for number in range(12):
        ours.collect_event("s", str(number))

    assert ["6", "7", "8", "9", "10", "11"] == storage.stored
    assert 6 == ours.dropped


def test_a_stream_whose_storage_failed_says_so(caplog):
    ours = collector()
    with TelemetryStream(ours, Failing(9), interval=LATER) as stream:
        ours.collect_event("s", "m")

    assert (1, 0) == (stream.held, stream.dropped)
    assert stream.storage_errors
    assert "1 items are not stored" in caplog.text


# Timing and logging


def test_a_timed_block_is_a_metric_in_ms_with_its_success():
    ours = collector()
    with ours.timed("outer", {"a": 1}) as _, ours.timed("inner"):
        time.sleep(0.02)
    with pytest.raises(KeyError), ours.timed("failing"):
        raise KeyError
    inner, outer, failing = ours.flush().metrics

    assert 20 <= inner.value <= outer.value < 10_000
    assert ("ms", {"a": 1, "success": True}) == (outer.unit, outer.tags)
    assert {"success": False} == failing.tags


def test_each_call_of_a_timed_function_is_a_metric_even_when_calls_overlap():
    ours = collector()

    @ours.timed("plain")
    def plain(depth):
        """Its own."""
        return plain(depth - 1) if depth else "done"

    @ours.timed("waiting")
    async def waiting():
        await asyncio.sleep(0.02)
        return "done"

    async def several():
        return await asyncio.gather(*(waiting() for _ in range(3)))

    assert ("done", "Its own.") == (plain(2), plain.__doc__)
    assert ["done"] * 3 == asyncio.run(several())
    metrics = ours.flush().metrics
    assert Counter(plain=3, waiting=3) == Counter(metric.name for metric in metrics)
    assert all(metric.value >= 20 for metric in metrics if metric.name == "waiting")


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (logging.CRITICAL, EventType.ERROR),
        (logging.ERROR, EventType.ERROR),
        (logging.WARNING, EventType.WARNING),
        (25, EventType.INFO),
        (logging.DEBUG, EventType.DEBUG),
    ],
)
def test_a_log_record_is_an_event_of_its_severity(level, severity):
    ours = collector()
    record = logging.LogRecord("shop.cart", level, "/shop/cart.py", 7, "%d items", (3,), None)
    record.order = 17
    TelemetryHandler(ours).handle(record)
    [event] = ours.flush().events

    assert ("shop.cart", "3 items", severity) == (event.source, event.message, event.event_type)
    assert {"order": 17, "module": "cart", "line": 7, "thread": "MainThread"} == event.metadata


def test_the_sdks_own_log_records_are_no_events():
    ours = collector()
    TelemetryHandler(ours).handle(logging.LogRecord("producers.app.delivery", 30, "", 1, "no", (), None))

    assert [] == ours.flush().events


def test_a_consumer_that_logs_into_the_handler_ends():
    ours = collector(buffer_size=1)
    log = logging.getLogger("test_app_collector.shop")
    handler = TelemetryHandler(ours)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    stream = TelemetryStream(ours, interval=LATER)
    seen = []

    def consumer(data):
        seen.extend(messages(data))
        if len(seen) == 1:
            log.error("a consumer says")

    stream.add_consumer(consumer)
    with stream:
        log.info("first")
    log.removeHandler(handler)

    assert ["first", "a consumer says"] == seen
