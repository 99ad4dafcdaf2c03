"""What librdkafka holds: refused records, errors that end its client, and what is on disk as well."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from producers.publishing.in_flight import InFlightTable, PendingRecord
from producers.publishing.rejects import RejectFile
from producers.publishing.spool import DroppedRange, OutgoingRecord, SpoolChanges
from runtime.kafka import KafkaPublisher
from runtime.settings import KafkaSettings
from tests.unit.support.waiting import until


class Table(InFlightTable):
    """A table, and what it reports."""

    def __init__(self, settings: KafkaSettings, folder: Path, **options: object) -> None:
        self.delivered: list[OutgoingRecord] = []
        self.dropped: list[DroppedRange] = []
        self.changes = SpoolChanges()
        super().__init__(
            KafkaPublisher(settings, "p", **options),
            RejectFile(folder / "rejected.jsonl"),
            self.changes,
            lock=threading.RLock(),
            on_delivered=self.delivered.append,
            on_dropped=self.dropped.append,
        )


def pending(sequence: int, *, size: int = 10, number: int | None = None) -> PendingRecord:
    record = OutgoingRecord(time.time(), "h", "host", "e", sequence, "fleet.raw.host", b"h", bytes(size))
    return PendingRecord(record, time.monotonic(), number)


def test_a_record_that_kafka_refuses_is_rejected_when_it_was_alone(away: KafkaSettings, tmp_path: Path) -> None:
    table = Table(away, tmp_path, **{"message.max.bytes": 1000})
    large = pending(7, size=5000, number=3)
    assert not table.send(large)
    assert (True, True, False) == (table.error is not None, table.is_suspect(large.record), large.is_finished)

    assert [] == table.recall()
    assert not table.send(large)
    assert (True, False) == (large.is_finished, table.has_suspects)
    assert ([3], [7]) == (table.changes.finished, [drop.first for drop in table.dropped])
    [line] = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert (7, "h") == (json.loads(line)["sequence"], json.loads(line)["host"])


def test_a_suspect_is_not_rejected_while_others_are_in_its_batch(away: KafkaSettings, tmp_path: Path) -> None:
    table = Table(away, tmp_path, **{"message.max.bytes": 1000})
    large = pending(1, size=5000)
    table.send(large)
    table.recall()
    table.send(pending(0))
    table.send(large)

    assert (False, []) == (large.is_finished, table.dropped)
    table.purge()


def test_a_new_client_gets_what_the_old_had_in_its_order(away: KafkaSettings, tmp_path: Path) -> None:
    table = Table(away, tmp_path)
    records = [pending(n, number=n if n < 2 else None) for n in range(5)]
    assert all(map(table.send, records))
    table.send_state("fleet.heartbeats", b"p", b"old", hold=False)
    assert (5, 3) == (len(table), table.unspooled_count)

    assert records == table.recall()
    assert (0, 0, True) == (len(table), table.unspooled_count, table.has_waiting_states)


def test_a_delivered_record_is_deleted_from_disk_however_late_it_got_there(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    table = Table(kafka, tmp_path)
    early, late = pending(0, number=1), pending(1)
    for record in (early, late):
        record.record = record.record._replace(topic=kafka.catalog["raw-host"].name)
        table.send(record)
    until(lambda: table.poll(0.05) or len(table.delivered) == 2)
    assert [1] == table.changes.finished

    late.number = 2  # it was being written meanwhile
    table.mark_spooled(late)
    assert ([1, 2], 0) == (table.changes.finished, table.unspooled_count)


def test_kafka_stalls_when_the_oldest_record_is_too_old(away: KafkaSettings, tmp_path: Path) -> None:
    table = Table(away, tmp_path)
    oldest = pending(0)
    oldest.since_s -= 2.0
    table.send(oldest)
    table.send(pending(1))

    assert (True, False) == (table.is_stalled(1.0), table.is_stalled(60.0))
    table.purge()
