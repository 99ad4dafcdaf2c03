"""Creates and verifies topics on Kafka; publishes schemas and looks them up."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ClusterMetadata, NewTopic

from runtime import kafka, kafka_auth, schema_registry
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.skipped_records import skip_record
from schemas import catalog, codec
from schemas.avro.foreign import MAX_SCHEMA_BYTES, check_schema

log = structlog.get_logger()
MAX_ID_DIGITS: Final = 10
MAX_REGISTRY_LOOKUPS: Final = 100
"""Ids of unknown schemas that one process looks up at the registry."""
_registered: Final[dict[tuple[int, int], bool]] = {}
"""(registry's id, fingerprint id) → the registry confirms it."""
REGISTRY_PAUSE_S: Final = 30.0
"""After a registry did not answer, it is asked again this much later."""
_registry_failed_at_s: float = float("-inf")
VISIBLE_TIMEOUT_S: Final = 10.0
"""If new topics are not visible in the metadata after this long, creation returns all the same."""


def _partition_counts(settings: KafkaSettings, metadata: ClusterMetadata | None = None) -> dict[str, int]:
    """Returns the partition count of each existing topic."""
    metadata = metadata or kafka.cluster_metadata(settings)
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def create(settings: KafkaSettings, *, replication: int = 1) -> list[str]:
    """Creates the missing topics of the catalogue and returns their names; existing topics stay unchanged."""
    partition_counts = _partition_counts(settings)
    topics = settings.catalog.topics.values()
    missing = [topic for topic in topics if topic.name not in partition_counts]
    # A topic added by an upgrade gets the partition count that its group already has.
    host_counts = [
        partition_counts[topic.name] for topic in topics if topic.group == "host" and topic.name in partition_counts
    ]
    group_counts = settings.catalog.partitions | ({"host": max(host_counts)} if host_counts else {})
    client = kafka.create_admin_client(settings)  # must outlive the futures: its end would cancel them
    new_topics = [
        NewTopic(topic.name, group_counts[topic.group], replication, config=topic.config) for topic in missing
    ]
    for name, future in (client.create_topics(new_topics) if new_topics else {}).items():
        try:
            future.result(30)
        except KafkaException as error:
            # Another process was faster, or the metadata above was out of date.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise kafka_auth.request_failed(settings, error.args[0], "Create", name) from error
    # The controller has the topics; other brokers learn of them a moment later.
    names = [topic.name for topic in missing]
    deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
    while set(names) - _partition_counts(settings).keys() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return names


def verify(settings: KafkaSettings, metadata: ClusterMetadata | None = None) -> dict[str, int]:
    """Verifies that all topics exist with consistent partition counts; returns the count of each partition group.

    Args:
        settings: Where Kafka is.
        metadata: Cluster metadata, if it is already known.

    Raises:
        Misconfigured: Topics are missing, or topics of one group differ in their partition count.
    """
    partition_counts = _partition_counts(settings, metadata)
    topics = settings.catalog.topics.values()
    missing = [topic.name for topic in topics if topic.name not in partition_counts]
    if missing:
        raise Misconfigured(
            f"topics missing on Kafka: {', '.join(missing)}; create them with `rackstream topics --create`"
        )
    groups: dict[str, dict[str, int]] = {}
    for topic in topics:
        groups.setdefault(topic.group, {})[topic.name] = partition_counts[topic.name]
    for counts in groups.values():
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
            raise Misconfigured(
                f"these topics must have the same partition count: {listed}; otherwise a host's records are on "
                "different partition numbers. Delete and recreate the topics that differ"
            )
    return {group: next(iter(counts.values())) for group, counts in groups.items()}


def topic_id(settings: KafkaSettings, name: str) -> str:
    """Returns Kafka's id of a topic, as Kafka's tools print it; a topic that is recreated gets a new id."""
    from confluent_kafka import TopicCollection

    client = kafka.create_admin_client(settings)
    described = client.describe_topics(TopicCollection([name]))[name].result(15)
    # librdkafka prints standard base64; Kafka prints URL-safe base64, which is also valid in file names.
    return str(described.topic_id).replace("+", "-").replace("/", "_")


def published_schemas(settings: KafkaSettings) -> dict[int, dict[str, Any]]:
    """Reads the schemas topic; returns the Avro definitions that can be believed, by schema id.

    An id is believed if it is the fingerprint of its definition, if the definition is one that this release knows (a
    registry assigned the id), or if the configured registry confirms it. Other records are skipped, counted and logged.
    A definition that this release knows is never taken from the topic.
    """
    releases = catalog.published_schemas()
    definitions: dict[int, dict[str, Any]] = {}
    for message in kafka.read_all(settings, settings.catalog["schemas"].name):
        try:
            id_ = _schema_id(message.key())
            if not message.value():
                definitions.pop(id_, None)
                continue
            definition = parse_definition(message.value(), id_)
            own_id = catalog.fingerprint_id(definition)
            if own_id != id_ and (id_ in releases or not (own_id in releases or _is_registered(settings, id_, own_id))):
                raise ValueError(f"{id_} is not the id of this {definition['name']}")  # noqa: TRY301  as the others
            definitions[id_] = releases[own_id].definition if own_id in releases else definition
        except Exception as error:  # noqa: BLE001  whatever is on the topic, its readers go on
            skip_record("schemas", message, error)
    return definitions


def _schema_id(key: bytes | str | None) -> int:
    text = key.decode("ascii") if isinstance(key, bytes) else key
    if text is None or len(text) > MAX_ID_DIGITS or not text.isdigit() or int(text) >= 1 << 32:
        raise ValueError("its key is no schema id")
    return int(text)


def parse_definition(value: bytes | str, id_: int) -> dict[str, Any]:
    """Parses a value of the schemas topic: a definition that a decoder may use, with `doc` and `unit`.

    Raises:
        ValueError: It is no such value, or exceeds the limits of `schemas.avro.foreign`.
        RecursionError: Its JSON is nested too deep.
    """
    if len(value) > MAX_SCHEMA_BYTES:
        raise ValueError(f"larger than {MAX_SCHEMA_BYTES} bytes")
    document = json.loads(value)
    if not isinstance(document, dict) or document.get("id", id_) != id_:
        raise ValueError("not a schema with this id")
    definition: dict[str, Any] = document.get("schema") or {}
    check_schema(definition)
    return definition


def _is_registered(settings: KafkaSettings, id_: int, fingerprint_id: int) -> bool:
    """True if the configured registry has the definition with this fingerprint under an id."""
    global _registry_failed_at_s  # noqa: PLW0603  one per process, as the settings are
    if settings.schema_registry is None:
        return False
    if (id_, fingerprint_id) not in _registered:
        if len(_registered) >= MAX_REGISTRY_LOOKUPS:
            return False
        if time.monotonic() < _registry_failed_at_s + REGISTRY_PAUSE_S:
            return False
        try:
            definition = schema_registry.fetch(settings, id_)
        except Retry:
            _registry_failed_at_s = time.monotonic()
            raise
        except Misconfigured:
            _registered[id_, fingerprint_id] = False
            raise
        _registered[id_, fingerprint_id] = catalog.fingerprint_id(check_schema(definition)) == fingerprint_id
    return _registered[id_, fingerprint_id]


def publish_schemas(settings: KafkaSettings, names: tuple[str, ...] | None = None) -> None:
    """Publishes the schemas of some record types (default: all) to the schemas topic and waits for delivery.

    Every writer calls it before its first record, so that readers can resolve any schema id. Where only the
    administrator may write the topic, as with the ACLs of `rackstream acls`, `rackstream topics --create` has published
    them; after an upgrade it does so again. With a schema registry,
    schemas are registered there first, and this process then writes the registry's ids. The schemas topic contains
    them under these ids, so that readers need no access to the registry.

    Raises:
        Retry: The broker did not confirm delivery, or the registry did not answer.
        Misconfigured: The registry refuses the login or a schema, or its ids are missing and may not be written.
    """
    schemas = [catalog.schema(name) for name in names or catalog.schema_names()]
    if settings.schema_registry is not None:
        registry_ids = {schema.id: _register(settings, schema) for schema in schemas}
        codec.use_registry_ids({own_id: id_ for own_id, id_ in registry_ids.items() if id_ is not None})
    published = published_schemas(settings)
    missing = [schema for schema in schemas if codec.wire_id(schema) not in published]
    if not missing:
        return
    publisher = kafka.KafkaPublisher(settings, "rackstream-schemas")
    publisher.may_be_denied = True
    topic = settings.catalog["schemas"].name
    for schema in missing:
        id_ = codec.wire_id(schema)
        value = json.dumps({"id": id_, "subject": schema.name, "schema": schema.definition}, ensure_ascii=False)
        publisher.send(topic, str(id_).encode(), value.encode())
    undelivered = publisher.flush(30)
    if publisher.authorization_error is not None:
        if any(codec.wire_id(schema) != schema.id for schema in missing):
            raise Misconfigured(
                f"{topic} has no ids of the schema registry for {', '.join(schema.name for schema in missing)}: run "
                "`rackstream topics --create` as the administrator, with the same RACKSTREAM_SCHEMA_REGISTRY_URL"
            )
        # Readers of this release have these schemas in their code; others need the administrator's.
        names_text = ", ".join(schema.name for schema in missing)
        log.warning("schemas not published; run `rackstream topics --create` as the administrator", schemas=names_text)
        return
    if undelivered or publisher.delivery_failures:
        raise Retry(f"schemas not confirmed by {settings.bootstrap}: {publisher.delivery_failures or 'no answer'}")
    log.info("schemas published", count=len(missing))


def _register(settings: KafkaSettings, schema: catalog.Schema) -> int | None:
    """Registers a schema for the values of each topic that uses it; returns the registry's id, None without a topic.

    Raises:
        Retry: The registry did not answer.
        Misconfigured: The registry refuses the login or the schema, or its id is ambiguous.
    """
    registry_id = None
    for topic in settings.catalog.topics.values():
        if topic.schema == schema.name:
            registry_id = schema_registry.register(settings, f"{topic.name}-value", schema.definition)
            other = catalog.published_schemas().get(registry_id)
            if other is not None and other.name != schema.name:
                raise Misconfigured(f"the schema registry's id {registry_id} is our id of another schema, {other.name}")
    return registry_id


def decoder(settings: KafkaSettings, alias: str) -> codec.Decoder:
    """Creates a decoder for a topic's records that looks up unknown schema ids on the schemas topic."""
    schema = catalog.schema(settings.catalog[alias].schema)
    return codec.Decoder(schema, lambda schema_id: published_schemas(settings).get(schema_id))
