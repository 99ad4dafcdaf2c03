"""What is on the topics cannot stop who reads them: real Kafka, records of every bad kind, our own readers."""

import copy
import json
import random

from processors.alerting import rule_topic
from rackstream.view.kafka_feed import KafkaFeed
from runtime import kafka as kafka_module
from runtime import metrics, topics
from runtime.compacted_topic import CompactedTopics, read_latest
from runtime.startup import prepare
from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record
from tests.unit.support.counters import counted
from tests.unit.support.waiting import until


def publish(settings, alias, *records):
    publisher = kafka_module.KafkaPublisher(settings, "test")
    for key, value in records:
        publisher.send(settings.catalog[alias].name, key, value)
    assert 0 == publisher.flush(30)
    assert [] == publisher.delivery_failures


def schema_value(id_, definition):
    return json.dumps({"id": id_, "subject": "x", "schema": definition}).encode()


def newer(name, avro="long"):
    definition = copy.deepcopy(catalog.schema(name).definition)
    definition["fields"].append({"name": "newer", "type": avro})
    return catalog.fingerprint_id(definition), definition


def skipped(alias):
    return counted(metrics.RECORDS_SKIPPED.labels(alias))


def test_no_record_on_the_schemas_topic_stops_a_start_and_only_ids_with_a_proof_are_believed(kafka):
    good_id, good = newer("HostSample")
    ours = catalog.schema("Alert")
    loop_id, loop = newer("Alert", {"type": "array", "items": "null"})
    bad = [
        (b"no number", schema_value(1, good)),
        ("²".encode(), schema_value(1, good)),
        (b"9" * 5000, schema_value(1, good)),
        (b"8", b"no JSON"),
        (b"9", b"[" * 100_000),
        (b"10", b'{"id": 10, "schema": ' + b'{"type":' * 50_000 + b"}"),
        (b"11", b"9" * 5000),
        (b"12", b"{}"),
        (b"13", schema_value(13, "string")),
        (b"14", schema_value(14, good)),
        (str(good_id + 1).encode(), schema_value(good_id, good)),
        (str(loop_id).encode(), schema_value(loop_id, loop)),
        (str(ours.id).encode(), schema_value(ours.id, catalog.schema("Target").definition)),
    ]
    before = skipped("schemas")
    publish(kafka, "schemas", *bad, (b"15", None), (str(good_id).encode(), schema_value(good_id, good)))
    publish(kafka, "schemas", (b"16", schema_value(16, ours.definition)))

    prepare(kafka)
    believed = topics.published_schemas(kafka)

    assert good == believed[good_id]
    assert ours.definition == believed[ours.id] == believed[16], "a registry's id of a schema that is known"
    assert {good_id, 16, *(catalog.schema(name).id for name in catalog.schema_names())} == believed.keys()
    assert before + len(bad) == skipped("schemas"), "each is counted once, however often the topic is read"


def test_no_record_stops_the_console_nor_readers_of_state_and_rules(kafka):
    rng = random.Random(17)
    noise = [rng.randbytes(15) for _ in range(50)] + [b"\0" + rng.randbytes(14) for _ in range(50)]
    schema = catalog.schema("HostSample")
    sample = codec.encode(schema, make_raw_record("HostSample", host="h1"))
    with KafkaFeed(kafka) as feed:
        until(lambda: feed.view.ready)
        for alias in kafka.catalog.topics:
            publish(kafka, alias, *((rng.randbytes(4), value) for value in noise))
        publish(kafka, "raw-host", (b"h1", sample), (b"h1", sample[:-3]))
        until(lambda: [row.name for row in feed.view.hosts().rows] == ["h1"])
        publish(kafka, "raw-host", (b"h2", codec.encode(schema, make_raw_record("HostSample", host="h2"))))
        until(lambda: feed.view.hosts().total == 2)
        assert feed.view.pipeline().undecodable > 1000
        assert "" == feed.view.reader_problem

    before = skipped("silences")
    silence = make_record("Silence", id="s")
    publish(kafka, "silences", (b"s", codec.encode(catalog.schema("Silence"), silence)))
    assert [silence] == list(read_latest(kafka, "silences").values())
    assert before + len(noise) == skipped("silences")
    followed = CompactedTopics(kafka, "silences", "control", "targets")
    assert {b"s"} == followed.tables["silences"].keys()
    followed.close()
    assert () == rule_topic.read_packs(kafka).applied
