"""The three nodes of `compose/kafka/secure` as they stand: no acknowledged record is lost with a leader."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka.admin import AdminClient

from runtime import kafka
from runtime.kafka import KafkaPublisher
from runtime.settings import KafkaSettings
from tests.e2e.support.parts import until
from tests.e2e.support.secured import Cluster, certificates

pytestmark = pytest.mark.kafka
ROLES = ("admin", "producer-host", "subscriber")


class Sending:
    """Sends numbered records of one host from a thread, and keeps which were acknowledged."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.acknowledged: list[int] = []
        self.publisher = KafkaPublisher(settings, "test")
        self._topic = settings.catalog["raw-host"].name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            done = lambda error, number=number: self.acknowledged.append(number) if error is None else None  # noqa: E731
            self.publisher.send(self._topic, b"one", str(number).encode(), done, wait_s=30)
            self.publisher.poll(0.005)
            number += 1
        assert self.publisher.flush(60) == 0


def settings(cluster: Cluster, role: str) -> KafkaSettings:
    return cluster.settings(
        bootstrap=cluster.address(), security_protocol="SASL_SSL", ssl_certificate=None, ssl_key=None,
        sasl_username=role, sasl_password=f"{role} may come in", partitions=1,
    )  # fmt: skip


@contextlib.contextmanager
def three(place: Path) -> Iterator[Cluster]:
    """Three nodes, the users and rights of some roles, the topics."""
    passwords = place / "passwords"
    passwords.mkdir()
    for role in ROLES:
        (passwords / role).write_text(f"{role} may come in")
    secrets = certificates(place / "certificates")
    with Cluster(place / "kafka", secrets, nodes=3) as found:
        own = str(secrets / "kafka-admin.pem")
        login = {
            "KAFKA_BOOTSTRAP_SERVERS": found.address("nodes"), "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CA_LOCATION": str(secrets / "kafka-ca.pem"), "KAFKA_SSL_CERTIFICATE_LOCATION": own,
            "KAFKA_SSL_KEY_LOCATION": own,
        }  # fmt: skip
        roles = [word for role in ROLES for word in ("--role", role)]
        command = [sys.executable, "-m", "rackstream", "acls", "--apply", "--passwords", str(passwords), *roles]
        done = subprocess.run(command, env=os.environ | login, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        admin = settings(found, "admin")
        command = [sys.executable, "-m", "rackstream", "topics", "--create", "--replication", "3"]
        login |= {
            "KAFKA_BOOTSTRAP_SERVERS": found.address(), "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": "admin", "KAFKA_SASL_PASSWORD": "admin may come in", "RACKSTREAM_PARTITIONS": "1",
        }  # fmt: skip
        # The users are on the node that was asked at once, and on the others a moment later.
        until(lambda: kafka.cluster_metadata(admin).brokers)
        done = subprocess.run(command, env=os.environ | login, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with three(tmp_path_factory.mktemp("three")) as found:
        yield found


def leader(client: AdminClient, topic: str) -> int:
    return int(client.list_topics(topic, timeout=30).topics[topic].partitions[0].leader)


def in_sync(client: AdminClient, topic: str) -> int:
    return len(client.list_topics(topic, timeout=30).topics[topic].partitions[0].isrs)


def lose_leaders(cluster: Cluster, times: int) -> None:
    """Kills the leader of the partition that is written to, so many times; each comes back before the next goes."""
    reading = settings(cluster, "subscriber")
    topic = reading.catalog["raw-host"].name
    client = AdminClient(kafka.client_config(cluster.settings(), "test"))
    with Sending(settings(cluster, "producer-host")) as sending:
        until(lambda: len(sending.acknowledged) > 20)
        for _ in range(times):
            gone = leader(client, topic)
            cluster.kill(gone)
            seen = len(sending.acknowledged)
            until(lambda seen=seen: len(sending.acknowledged) > seen + 20, timeout_s=120)
            assert leader(client, topic) != gone
            if times > 1:
                cluster.start(gone)
                until(lambda: in_sync(client, topic) == 3, timeout_s=120)

    stored = [int(message.value()) for message in kafka.read_all(reading, topic)]
    known = stored[-len(sending.acknowledged) :]
    assert sending.acknowledged == known, "each once, in order"


def test_no_acknowledged_record_is_lost_with_the_leader(cluster: Cluster) -> None:
    lose_leaders(cluster, 1)


@pytest.mark.soak
def test_no_acknowledged_record_is_lost_with_a_leader_after_the_other(tmp_path: Path) -> None:
    with three(tmp_path) as cluster:
        lose_leaders(cluster, 9)
