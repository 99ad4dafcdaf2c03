"""The outbox: records keep their order on whichever way they go, and nothing is lost but what is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from producers.publishing import spooler
from producers.publishing.outbox import Outbox
from producers.publishing.spool import DroppedRange, OutgoingRecord, Spool
from runtime import compacted_topic
from runtime.kafka import KafkaPublisher, read_all
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import make_record
from tests.unit.support.waiting import until


class FailingPublisher(KafkaPublisher):
    """Delivers only the oldest record, and only while the client is replaced after an error of the others."""

    def __init__(self) -> None:
        self.reports: list[Callable[[KafkaError | None], None]] = []

    def send(self, topic: str, key: bytes, value: bytes | None, on_delivery: Any = None, **_: Any) -> None:
        self.reports.append(on_delivery)

    def poll(self, timeout_s: float = 0) -> None:
        if self.reports:
            self.reports[-1](KafkaError(KafkaError._TIMED_OUT))

    def purge(self) -> int:
        return 0

    def recreate(self) -> None:
        reports, self.reports = self.reports, []
        reports[0](None)


class Sender:
    """An outbox on a real spool, and what it reports."""

    def __init__(
        self, settings: KafkaSettings, path: Path, *, ready: bool = True, publisher: KafkaPublisher | None = None
    ) -> None:
        self.settings = settings
        self.delivered: list[int] = []
        self.dropped: list[DroppedRange] = []
        self.saved: list[int] = []
        self.spool = Spool(path, max_bytes=10**9, max_age_s=3600)
        self.outbox = Outbox(
            publisher or KafkaPublisher(settings, "p"),
            self.spool,
            on_delivered=lambda record: self.delivered.append(record.sequence),
            on_dropped=self.dropped.append,
            on_saved=lambda records: self.saved.extend(record.sequence for record in records),
            ready=ready,
        )

    def send(self, *sequences: int, size: int = 10) -> None:
        topic = self.settings.catalog["raw-host"].name
        for sequence in sequences:
            record = OutgoingRecord(time.time(), "h", "host", "e", sequence, topic, b"h", bytes(size))
            self.outbox.wait_until_safe(self.outbox.send(record))

    def finish(self) -> None:
        until(lambda: self.outbox.poll() or not self.outbox.outstanding)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sender]]:
    senders: list[Sender] = []

    def begin(settings: KafkaSettings, **options: Any) -> Sender:
        senders.append(Sender(settings, tmp_path / f"p{len(senders)}.spool.db", **options))
        return senders[-1]

    yield begin
    for sender in senders:
        sender.outbox.close(0)


def test_while_kafka_accepts_records_none_is_on_disk(kafka: KafkaSettings, start: Callable[..., Sender]) -> None:
    sender = start(kafka)
    sender.send(*range(50))
    sender.finish()

    assert list(range(50)) == sender.delivered
    assert ([], 0, 0) == (sender.saved, sender.spool.records, sender.outbox.unsaved)


def test_before_topics_are_there_records_are_on_disk_and_go_first_afterwards(
    kafka: KafkaSettings, start: Callable[..., Sender]
) -> None:
    sender = start(kafka, ready=False)
    sender.send(*range(5))
    assert (list(range(5)), [], 0) == (sender.saved, sender.delivered, sender.outbox.unsaved)

    sender.outbox.set_ready()
    sender.send(*range(5, 10))
    sender.finish()
    assert list(range(10)) == sender.delivered


def test_what_an_outage_leaves_is_sent_by_the_next_start_before_its_own(
    kafka: KafkaSettings, away: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publishing.spooler.STALLED_AFTER_S", 0.05)
    first = Sender(away, tmp_path / "p.spool.db")
    first.send(0)
    until(lambda: first.outbox.poll() or first.outbox.is_stalled)
    first.send(1, 2)
    until(lambda: not first.outbox.unsaved)
    assert 0 == first.outbox.close(5)

    second = Sender(kafka, tmp_path / "p.spool.db")
    second.send(3)
    second.finish()
    assert ([0, 1, 2, 3], 0) == (second.delivered, second.outbox.close(10))


def test_a_full_disk_loses_nothing_that_memory_holds(kafka: KafkaSettings, start: Callable[..., Sender]) -> None:
    sender = start(kafka, ready=False)
    sender.spool.database.execute("pragma max_page_count = 1")
    sender.send(*range(20), size=5000)
    assert (20, []) == (sender.outbox.unsaved, sender.saved)

    sender.outbox.set_ready()
    sender.finish()
    assert (list(range(20)), []) == (sender.delivered, sender.dropped)


def test_beyond_what_memory_may_hold_the_oldest_are_dropped_and_counted(
    kafka: KafkaSettings, start: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publishing.spooler.MEMORY_BYTES", 30_000)
    sender = start(kafka, ready=False)
    sender.spool.database.execute("pragma max_page_count = 1")
    sender.send(*range(20), size=5000)
    dropped = sum(drop.count for drop in sender.dropped)
    sender.outbox.set_ready()
    sender.finish()

    assert 10 < dropped < 20
    assert list(range(dropped, 20)) == sender.delivered


def test_of_a_state_only_the_newest_is_sent_after_an_outage(kafka: KafkaSettings, start: Callable[..., Sender]) -> None:
    sender = start(kafka, ready=False)
    topic = kafka.catalog["heartbeats"]
    for number in range(5):
        beat = make_record("Heartbeat", producer="p", sequence=number)
        sender.outbox.send_state(topic.name, b"p", codec.encode(catalog.schema("Heartbeat"), beat))
    sender.outbox.set_ready()
    sender.outbox.poll()
    assert 0 == sender.outbox.close(10)

    assert 1 == len([*read_all(kafka, topic.name)])
    assert [4] == [beat["sequence"] for beat in compacted_topic.read_latest(kafka, "heartbeats").values()]


def test_a_delivery_during_recovery_resets_the_backoff(
    start: Callable[..., Sender], away: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooler, "BACKOFF_S", (0.05, 30.0))
    monkeypatch.setattr(spooler, "IDLE_INTERVAL_S", 0.02)
    sender = start(away, publisher=FailingPublisher())
    began_s = time.monotonic()
    sender.send(*range(10))
    sender.outbox.poll()
    until(lambda: len(sender.delivered) == 10)

    assert list(range(10)) == sender.delivered
    assert time.monotonic() - began_s < 10  # 25 s if each delay were twice the previous one
