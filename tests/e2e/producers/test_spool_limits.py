"""The way of records when Kafka or the disk does not take them, on a Kafka that is killed and started again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.fleet.targets import HostTarget
from producers.host import reader
from producers.publishing.publisher import RecordPublisher
from producers.publishing.sequence_journal import SequenceJournal
from producers.publishing.spool import Spool
from rackstream.audit.counters import SequenceRanges
from rackstream.local.broker import EmbeddedKafka
from runtime import topics
from runtime.kafka import KafkaPublisher, create_admin_client
from runtime.settings import KafkaSettings
from tests.e2e.support.parts import records, until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as own:
        yield own


class Producer:
    """One process of a producer, as far as its records go."""

    def __init__(self, settings: KafkaSettings, *, max_bytes: int = 10**9, **options: int) -> None:
        self.spool = Spool(settings.data_dir / "p.spool.db", max_bytes=max_bytes, max_age_s=3600)
        journal = SequenceJournal(settings.data_dir / "p.db")
        publisher = KafkaPublisher(settings, "p", **options)
        self.publication = RecordPublisher(settings, "p", journal=journal, spool=self.spool, publisher=publisher)
        self._reader = reader.create_reader(HostTarget(host="here"), 1.0)
        self.sample = self._reader.read("host", 5)

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.publication.publish("raw-host", self._reader, "host", self.sample, began_s=time.monotonic())

    def delivered(self) -> bool:
        self.publication.poll()
        return not self.publication.queued

    def away(self) -> bool:
        """Whether what was sent is known not to get through: it is on disk then."""
        self.publication.poll()
        return bool(self.publication.spool_state["spooled"]) and not self.publication.unsaved


@pytest.fixture
def settings(broker: EmbeddedKafka, tmp_path: Path, request: pytest.FixtureRequest) -> KafkaSettings:
    own = KafkaSettings.read(
        bootstrap=broker.bootstrap, topic_prefix=f"{request.node.name[:40]}.", partitions=1, data_dir=tmp_path
    )
    topics.create(own)
    topics.publish_schemas(own)
    return own


def sequences(settings: KafkaSettings) -> list[int]:
    return [record["sequence"] for record in records(settings, "raw-host")]


def unnamed(settings: KafkaSettings) -> tuple[int, int]:
    """Records lost without a word, and those that a later one names."""
    series = SequenceRanges()
    for record in records(settings, "raw-host"):
        series.add(record)
    return series.gaps(from_start=True)


def test_a_queue_that_is_full_is_no_loss(settings: KafkaSettings, broker: EmbeddedKafka) -> None:
    producer = Producer(settings, **{"queue.buffering.max.messages": 10})
    broker.kill()
    producer.send(25)
    until(producer.away)
    broker.start()
    until(producer.delivered)
    producer.send()
    assert 0 == producer.publication.close(10)

    assert list(range(26)) == sequences(settings)


def test_what_an_outage_leaves_on_disk_is_sent_before_what_the_next_start_reads(
    settings: KafkaSettings, broker: EmbeddedKafka
) -> None:
    first = Producer(settings)
    first.send(3)
    until(first.delivered)
    broker.kill()
    first.send(5)
    until(first.away)
    assert 0 == first.publication.close(5), "kept on disk"
    second = Producer(settings)
    second.send(4)
    broker.start()
    until(second.delivered)
    assert 0 == second.publication.close(10)

    delivered = [(record["epoch"], record["sequence"]) for record in records(settings, "raw-host")]
    once = list(dict.fromkeys(delivered))
    assert [(first.publication.epoch, n) for n in range(8)] + [(second.publication.epoch, n) for n in range(4)] == once
    assert (0, 0) == unnamed(settings)


def test_of_a_full_spool_the_oldest_go_and_the_next_record_names_them(
    settings: KafkaSettings, broker: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publishing.spooler.WINDOW", 5)
    producer = Producer(settings, max_bytes=20_000)
    broker.kill()
    producer.send(2)
    until(producer.away)
    producer.send(200)
    until(lambda: producer.publication.dropped and not producer.publication.unsaved)
    producer.publication.poll()
    assert producer.publication.spool_state["spooled_bytes"] < 25_000
    broker.start()
    until(producer.delivered)
    producer.send(2)
    until(producer.delivered)
    dropped = producer.publication.dropped
    assert 0 == producer.publication.close(10)

    delivered = sequences(settings)
    assert delivered == sorted(delivered)
    assert [0, 1, 203] == [delivered[0], delivered[1], delivered[-1]]
    assert dropped == 204 - len(delivered) > 100
    assert (0, dropped) == unnamed(settings)


def test_a_full_disk_stops_nothing_and_what_is_spooled_stays(settings: KafkaSettings, broker: EmbeddedKafka) -> None:
    producer = Producer(settings)
    broker.kill()
    producer.send(20)
    until(producer.away)
    [[pages]] = producer.spool.database.execute("pragma page_count").fetchall()
    producer.spool.database.execute(f"pragma max_page_count = {pages}")
    began_s = time.monotonic()
    producer.send(100)
    assert time.monotonic() - began_s < 20
    assert producer.publication.unsaved > 50, "in memory"
    broker.start()
    until(producer.delivered)
    assert 0 == producer.publication.close(10)

    assert list(range(120)) == sequences(settings)


def test_a_record_that_kafka_refuses_for_good_goes_to_a_file_and_the_others_of_its_batch_to_kafka(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    monkeypatch.setattr("producers.publishing.spooler.BACKOFF_S", (0.1, 0.1))
    entry = ConfigEntry("max.message.bytes", "3000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, settings.catalog["raw-host"].name, incremental_configs=[entry])
    client = create_admin_client(settings)  # kept until the result is there
    [changed] = client.incremental_alter_configs([resource]).values()
    changed.result(30)
    producer = Producer(settings, **{"linger.ms": 300})
    producer.send(2)
    producer.sample.problems.add("a field", "".join(chr(33 + n * 7 % 90) + str(n * n) for n in range(3000)))
    producer.send()
    producer.sample.problems.counts.clear()
    producer.send(2)
    until(producer.delivered)
    producer.send()
    until(producer.delivered)
    assert (1, 1) == (producer.publication.dropped, producer.publication.spool_state["rejected"])
    assert 0 == producer.publication.close(10)

    assert [0, 1, 3, 4, 5] == sequences(settings)
    assert (0, 1) == unnamed(settings)
    [line] = (settings.data_dir / "p.spool.rejected.jsonl").read_text().splitlines()
    assert (2, "here") == (json.loads(line)["sequence"], json.loads(line)["host"])


def test_of_a_status_only_the_newest_is_told_after_an_outage(settings: KafkaSettings, broker: EmbeddedKafka) -> None:
    producer = Producer(settings)
    beat = {"producer": "p", "epoch": "e", "observed_at": 0, "interval_s": 10.0, "source": "host", "targets": 1,
            "records": 0, "dropped": 0, "queued": 0}  # fmt: skip
    broker.kill()
    producer.publication.publish_state("heartbeats", beat | {"sequence": 0})
    until(lambda: producer.publication.poll() or producer.publication.is_stalled)
    for number in range(1, 50):
        producer.publication.publish_state("heartbeats", beat | {"sequence": number})
    broker.start()
    until(lambda: len(records(settings, "heartbeats")) == 2, tend=producer.publication.poll)
    assert 0 == producer.publication.close(10)

    assert [0, 49] == [record["sequence"] for record in records(settings, "heartbeats")]
