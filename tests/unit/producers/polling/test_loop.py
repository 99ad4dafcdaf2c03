"""The poll loop: what it publishes of readers that answer, fail, break and change while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from producers.polling.loop import PollLoop
from producers.polling.target_state import TargetChange
from producers.publishing.publisher import RecordPublisher
from runtime import compacted_topic
from runtime.kafka import read_all
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from tests.unit.support.readers import UNREACHABLE, HostSource
from tests.unit.support.waiting import until


class Running:
    """A loop on a thread of its own."""

    def __init__(self, settings: KafkaSettings, *readers: HostSource, **options: Any) -> None:
        self._settings = settings
        publisher = RecordPublisher.open(settings, "p1")
        self.loop = PollLoop(publisher, readers, "raw-host", source="host", **options)
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.loop.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def records(self, alias: str) -> list[dict[str, Any]]:
        decode = decoder(self._settings, alias).decode
        return [decode(message.value()) for message in read_all(self._settings, self._settings.catalog[alias].name)]

    def statuses(self) -> dict[str, str]:
        records = compacted_topic.read_latest(self._settings, "state-targets").values()
        return {record["host"]: record["status"] for record in records if not record["removed"]}


@pytest.fixture
def start(kafka: KafkaSettings) -> Iterator[Callable[..., Running]]:
    loops: list[Running] = []

    def begin(*readers: HostSource, **options: Any) -> Running:
        loops.append(Running(kafka, *readers, **options))
        return loops[-1]

    yield begin
    for running in loops:
        running.stop()


def test_each_poll_is_a_record_and_each_target_has_a_status(start: Callable[..., Running]) -> None:
    good, bad = HostSource("good"), HostSource("bad")
    bad.failure = UNREACHABLE
    running = start(good, bad)
    until(lambda: running.statuses() == {"good": "up", "bad": "unreachable"})
    until(lambda: good.reads >= 3)
    running.stop()

    records = running.records("raw-host")
    assert {"good"} == {record["host"] for record in records}
    assert list(range(len(records))) == sorted(record["sequence"] for record in records)
    assert {"good": "stopped", "bad": "stopped"} == running.statuses()
    assert (1, 1) == (good.closed, bad.closed)


def test_a_reader_that_breaks_is_a_failed_poll_and_not_the_end(start: Callable[..., Running]) -> None:
    broken, good = HostSource("broken"), HostSource("good")
    broken.failure = KeyError("a bug")
    running = start(broken, good)
    until(lambda: running.statuses() == {"broken": "unreachable", "good": "up"})

    broken.failure = None
    until(lambda: running.statuses() == {"broken": "up", "good": "up"})


def test_targets_come_go_and_change_while_others_are_polled_on(start: Callable[..., Running]) -> None:
    gone, old, stays = HostSource("gone"), HostSource("changed"), HostSource("stays")
    running = start(gone, old, stays)
    until(lambda: gone.reads and old.reads and stays.reads)
    new, added = HostSource("changed"), HostSource("added")
    running.loop.apply_change(TargetChange((new, added), frozenset({"gone", "changed"})))
    until(lambda: running.statuses() == {"changed": "up", "stays": "up", "added": "up"})

    assert (1, 1, 0) == (gone.closed, old.closed, stays.closed)
    until(lambda before=stays.reads: stays.reads > before)


def test_nothing_is_polled_before_it_may_be(start: Callable[..., Running]) -> None:
    may_poll = threading.Event()
    reader = HostSource("a")
    running = start(may_poll=may_poll.is_set)
    running.loop.apply_change(TargetChange((reader,)))
    until(lambda: running.statuses() == {"a": "unknown"})
    assert 0 == reader.reads

    may_poll.set()
    until(lambda: reader.reads)


def test_the_first_and_the_last_heartbeat_frame_a_run(start: Callable[..., Running]) -> None:
    running = start(HostSource("a"))
    until(lambda: running.statuses() == {"a": "up"})
    running.stop()
    beats = running.records("heartbeats")

    assert [(0, False), (1, True)] == [(beat["sequence"], beat["stopping"]) for beat in beats]
    assert (1, "host", False) == (beats[-1]["targets"], beats[-1]["source"], beats[-1]["shared"])
    assert beats[-1]["polls"] >= 1
