"""Kafka for tests of producers: the cluster that librdkafka simulates in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from runtime.settings import KafkaSettings

NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="session")
def cluster() -> Producer:
    """Lives as long as this client. Topics that it asks for are created."""
    return Producer({"bootstrap.servers": NOBODY, "test.mock.num.brokers": 1, "allow.auto.create.topics": True})


@pytest.fixture
def kafka(cluster: Producer, tmp_path: Path) -> KafkaSettings:
    """Settings of a cluster that answers, with topics of this test's own."""
    [broker] = cluster.list_topics(timeout=30).brokers.values()
    prefix = f"{tmp_path.name.replace('_', '-')}."
    settings = KafkaSettings.read(bootstrap=f"{broker.host}:{broker.port}", topic_prefix=prefix, data_dir=tmp_path)
    for topic in settings.catalog.topics.values():
        cluster.list_topics(topic.name, timeout=30)
    return settings


@pytest.fixture
def away(kafka: KafkaSettings) -> KafkaSettings:
    """Settings of the same topics at an address where nobody answers."""
    return kafka.model_copy(update={"bootstrap": NOBODY})
