"""Topics and schemas on the broker: create what is missing, verify what is there, publish and look up schemas."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from runtime import kafka, kafka_auth, schema_registry
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from schemas import catalog, codec

log = structlog.get_logger()
SEEN_S: Final = 10.0
"""Topics just created are waited for so long."""


def _counts(settings: KafkaSettings) -> dict[str, int]:
    """Partition count of each topic that exists."""
    return {name: len(topic.partitions) for name, topic in kafka.cluster(settings).topics.items()}


def create(settings: KafkaSettings, *, replication: int = 1) -> list[str]:
    """Creates the catalogue's topics that are missing; returns their names. Existing topics are left as they are."""
    existing = _counts(settings)
    topics = settings.catalog
    missing = [topic for topic in topics.topics.values() if topic.name not in existing]
    hosts = {existing[t.name] for t in topics.topics.values() if t.group == "host" and t.name in existing}
    # A topic added by an upgrade joins the count its group already has.
    partitions = topics.partitions | ({"host": max(hosts)} if hosts else {})
    client = kafka.admin(settings)  # kept until the results are there: its end would cancel them
    wanted = [NewTopic(topic.name, partitions[topic.group], replication, config=topic.config) for topic in missing]
    for name, future in (client.create_topics(wanted) if wanted else {}).items():
        try:
            future.result(30)
        except KafkaException as error:
            # Somebody else was quicker, or the node that was asked had not heard of it yet.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise kafka_auth.failure(settings, error.args[0], "Create", name) from error
    # The controller has them; the broker that is asked next may hear of them a moment later.
    deadline = time.monotonic() + SEEN_S
    while wanted and {topic.topic for topic in wanted} - _counts(settings).keys() and time.monotonic() < deadline:
        time.sleep(0.1)
    return [topic.name for topic in missing]


def verify(settings: KafkaSettings) -> dict[str, int]:
    """Partition count of each group.

    Raises:
        Misconfigured: topics are missing, or topics of one group differ in their count.
    """
    existing = _counts(settings)
    topics = settings.catalog.topics.values()
    missing = [topic.name for topic in topics if topic.name not in existing]
    if missing:
        raise Misconfigured(
            f"topics missing on Kafka: {', '.join(missing)}; create them with `rackstream topics --create`"
        )
    groups: dict[str, dict[str, int]] = {}
    for topic in topics:
        groups.setdefault(topic.group, {})[topic.name] = existing[topic.name]
    for counts in groups.values():
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            raise Misconfigured(
                f"topics that must have one partition count differ: {listed}; a host's records would no longer be "
                "on one partition number. Delete and recreate the topics that differ"
            )
    return {group: next(iter(counts.values())) for group, counts in groups.items()}


def topic_id(settings: KafkaSettings, name: str) -> str:
    """Kafka's own id of a topic, as its tools print it: a topic deleted and created again has another."""
    from confluent_kafka import TopicCollection

    client = kafka.admin(settings)
    described = client.describe_topics(TopicCollection([name]))[name].result(15)
    # librdkafka prints plain base64; Kafka the URL-safe one, which also fits file names.
    return str(described.topic_id).replace("+", "-").replace("/", "_")


def published_schemas(settings: KafkaSettings) -> dict[int, dict[str, Any]]:
    """Every schema on the schemas topic, by id."""
    name = settings.catalog["schemas"].name
    return {
        int(message.key()): json.loads(message.value())["schema"]
        for message in kafka.read_all(settings, name)
        if message.value()
    }


def publish_schemas(settings: KafkaSettings, names: tuple[str, ...] | None = None) -> None:
    """Puts the schemas of these record types (default: all) on the schemas topic, and waits for the broker's word.

    A producer calls it before its first record, so that no reader meets an id it cannot look up. With a schema registry
    they are registered there first, and this process writes its ids from then on; they are on the topic under these,
    so that our readers need no registry.

    Raises:
        Retry: the broker did not confirm, or the registry did not answer.
        Misconfigured: the registry refuses.
    """
    wanted = [catalog.schema(name) for name in names or catalog.names()]
    if settings.schema_registry is not None:
        given = {each.id: id_ for each in wanted if (id_ := _register(settings, each)) is not None}
        codec.use_ids(given)
    known = published_schemas(settings)
    missing = [each for each in wanted if codec.wire_id(each) not in known]
    if not missing:
        return
    publisher = kafka.Publisher(settings, "rackstream-schemas")
    topic = settings.catalog["schemas"].name
    for each in missing:
        id_ = codec.wire_id(each)
        value = json.dumps({"id": id_, "subject": each.name, "schema": each.definition}, ensure_ascii=False)
        publisher.send(topic, str(id_).encode(), value.encode())
    left = publisher.flush(30)
    if publisher.denied is not None:
        raise publisher.denied
    if left or publisher.failures:
        raise Retry(f"schemas not confirmed by {settings.bootstrap}: {publisher.failures or 'no answer'}")
    log.info("schemas published", count=len(missing))


def _register(settings: KafkaSettings, schema: catalog.Schema) -> int | None:
    """The registry's id of a schema, registered as the value of each topic that has such records; None: no topic has.

    Raises:
        Retry: the registry did not answer.
        Misconfigured: it refuses.
    """
    given = None
    for topic in settings.catalog.topics.values():
        if topic.schema == schema.name:
            given = schema_registry.register(settings, f"{topic.name}-value", schema.definition)
            other = catalog.published().get(given)
            if other is not None and other.name != schema.name:
                raise Misconfigured(f"the schema registry's id {given} is our id of another schema, {other.name}")
    return given


def decoder(settings: KafkaSettings, alias: str) -> codec.Decoder:
    """A decoder of a topic's records that looks unknown schema ids up on the schemas topic."""
    schema = catalog.schema(settings.catalog[alias].schema)
    return codec.Decoder(schema, lambda schema_id: published_schemas(settings).get(schema_id))
