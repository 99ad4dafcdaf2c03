"""Start-up of a pipeline process: verifies topics and publishes schemas."""

from __future__ import annotations

from collections.abc import Collection

from confluent_kafka.admin import ClusterMetadata

from runtime import kafka, topics
from runtime.settings import KafkaSettings


def prepare(
    settings: KafkaSettings, *, schemas: Collection[str] | None = None, metadata: ClusterMetadata | None = None
) -> None:
    """Verifies that all topics exist; publishes the schemas the process writes.

    Args:
        settings: Where Kafka is.
        schemas: Record types that the process writes; by default all.
        metadata: Cluster metadata, if the check of the ACLs has already fetched it.

    Raises:
        Misconfigured: Topics are missing, or Kafka or the schema registry refuses access.
        Retry: Kafka or the schema registry does not answer.
    """
    topics.verify(settings, metadata or kafka.cluster_metadata(settings))
    topics.publish_schemas(settings, None if schemas is None else tuple(schemas))
