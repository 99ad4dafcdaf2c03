"""From a sample to Kafka: every number accounted for, whatever happens to producer or broker."""

import time

import pytest

from producers import host
from producers.journal import Journal
from producers.publish import Publication
from producers.targets import HostTarget
from rackstream.broker import EmbeddedKafka
from rackstream.recount import Series
from runtime import topics
from runtime.kafka import Publisher
from runtime.settings import KafkaSettings
from tests.e2e.parts import part, records, running, until

pytestmark = pytest.mark.kafka


def series(settings):
    found = Series()
    for record in records(settings, "raw-host"):
        found.see(record)
    return found


def test_a_producer_killed_again_and_again_loses_nothing_without_a_word(kafka, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("host: {interval: 0.02, targets: [{host: here}]}\n")
    producer = part(kafka, "producer", "producer", "host", "--fleet", str(fleet))
    with running(producer) as supervisor:
        for kills in range(3):
            until(lambda kills=kills: len(series(kafka).seen) == kills + 1, tend=supervisor.tend)
            supervisor.kill("producer")
        until(lambda: len(series(kafka).seen) == 4, tend=supervisor.tend)

    found = series(kafka)
    lost, named = found.gaps(from_start=True)
    print(f"3 kills: {sum(map(len, found.seen.values()))} records, {lost} lost, {named} named, {found.twice} twice")
    assert (0, 0, 0) == (lost, found.late, found.twice)
    assert 3 == len(found.numbered)


def test_a_producer_tells_of_itself_and_its_targets(kafka, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("redfish: {interval: 0.2, targets: [{host: dead, address: 'https://127.0.0.1:9'}]}\n")
    with running(part(kafka, "producer", "producer", "redfish", "--fleet", str(fleet))):
        [status] = until(lambda: records(kafka, "state-targets"))
        [beat] = until(lambda: records(kafka, "heartbeats"))

    assert ("redfish", "dead", "unreachable") == (status["source"], status["host"], status["status"])
    assert "refused" in status["detail"]
    assert (1, 0) == (beat["targets"], beat["dropped"])
    last = records(kafka, "heartbeats")[-1]
    assert [("dead", "unreachable")] == [(each["host"], each["status"]) for each in last["failing"]], "for presence"
    assert (1, True) == (last["failing_count"], last["stopping"])


def test_what_a_full_queue_drops_is_named_by_the_next_record(tmp_path):
    """Kafka is away, the queue takes 10; when it is back, what was queued arrives and the hole has a name."""
    with EmbeddedKafka(tmp_path) as broker:
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, partitions=1, data_dir=tmp_path)
        topics.create(settings)
        topics.publish_schemas(settings)
        publisher = Publisher(settings, "p", **{"queue.buffering.max.messages": 10})
        publication = Publication(settings, Journal(tmp_path / "p.db"), "p", publisher)
        reader = host.reader(HostTarget(host="here"), 1.0)
        send = lambda: publication.publish(  # noqa: E731  said twice below
            "raw-host", reader, "host", reader.read("host", 5), began_s=time.monotonic()
        )
        broker.kill()
        for _ in range(15):
            send()
        assert 5 == publication.dropped
        broker.start()
        until(lambda: publication.poll() or publication.queued == 0)
        send()
        assert 0 == publication.close(10)
        found = records(settings, "raw-host")

    assert [*range(10), 15] == [record["sequence"] for record in found]
    assert [(10, 14)] == [(each["first"], each["last"]) for each in found[-1]["dropped"]]
    assert "queue full" in found[-1]["dropped"][0]["cause"]
