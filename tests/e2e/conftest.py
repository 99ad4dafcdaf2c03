"""Real counterparts for the tests that need them: one embedded Kafka for the session, topics of its own per test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackstream.local.broker import EmbeddedKafka
from runtime import topics
from runtime.settings import KafkaSettings
from tests.e2e.support.influxdb import Influx

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """The session's Kafka. Tests that stop or kill one start their own."""
    kafka = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def kafka(broker: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Settings for topics that only this test uses: 2 partitions, created, schemas published."""
    for name in [name for name in os.environ if name.startswith(("KAFKA_", "RACKSTREAM_"))]:
        if name not in ("RACKSTREAM_REDFISH_CAPTURES", "RACKSTREAM_INFLUXD"):
            monkeypatch.delenv(name)
    settings = KafkaSettings.read(
        bootstrap=broker.bootstrap, topic_prefix=f"t{next(NUMBERS)}.", partitions=2, data_dir=tmp_path / "data"
    )
    topics.create(settings)
    topics.publish_schemas(settings)
    return settings


@pytest.fixture(scope="module")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """A real InfluxDB for one file of tests."""
    made = Influx(tmp_path_factory.mktemp("influx"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def influx(influx_server: Influx) -> Influx:
    """The same with an empty database `lab`; started again where a test has stopped it."""
    if influx_server.process is None:
        influx_server.start()
    influx_server.query("DROP DATABASE lab")
    influx_server.query("CREATE DATABASE lab")
    return influx_server
