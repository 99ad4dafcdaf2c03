"""Faults that need their own Kafka: retention of unread records, a changed partition count, a lost leader."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions

from chaos.verdict import Verdict
from processors.engine.worker import ProcessorSettings
from rackstream.audit.audit import Audit
from rackstream.dead_letters import store
from rackstream.local.pipeline import LocalPipeline
from rackstream.topics import lag
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from schemas.records import DeadLetter
from sinks.registry import SINKS
from tests.e2e.support.secured import Cluster, certificates

Log = Callable[[str], None]
RAW_TOPIC: Final = "raw-host"
MIN_GAP_RECORDS: Final = 5
"""Retention deletes at least this many unread records."""
EXIT_MISCONFIGURED: Final = 2
"""Exit code of `Misconfigured`."""


def write_fleet(directory: Path) -> Path:
    """Writes a fleet with this machine as the only target, polled every half second."""
    path = directory / "fleet.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"host": {"interval": 0.5, "targets": [{"host": "here"}]}}))
    return path


def retention_overtakes(directory: Path, log: Log, verdict: Verdict) -> None:
    """Deletes records that a stopped worker and a stopped sink have not read; then changes the partition count."""
    settings = KafkaSettings.read(data_dir=directory, partitions=1)
    pipeline = LocalPipeline(
        settings,
        write_fleet(directory),
        console=False,
        on_event=log,
        environment={"RACKSTREAM_FILES_MAX_SEC": "1", "RACKSTREAM_PARTITIONS": "1"},
    )
    try:
        pipeline.start()
        settings = pipeline.settings
        name = settings.catalog[RAW_TOPIC].name
        _wait_until(
            pipeline,
            lambda: _end_offset(settings, name) >= MIN_GAP_RECORDS and not _lag(settings),
            "the first records processed",
        )
        pipeline.supervisor.stop(["processor", "sink-files"])
        begin = _end_offset(settings, name)
        _wait_until(pipeline, lambda: _end_offset(settings, name) >= begin + MIN_GAP_RECORDS, "unread records")
        groups = {"processors": ProcessorSettings.read().group, "sink-files": SINKS["files"].group()}
        committed = {stage: lag.committed(settings, group, name).get(0, 0) for stage, group in groups.items()}
        end = _end_offset(settings, name)
        # Moves the start of the log, as retention does.
        client = kafka.create_admin_client(settings)
        for future in client.delete_records([TopicPartition(name, 0, end)]).values():
            future.result(30)
        log(f"chaos: offsets up to {end - 1} of {name} are deleted, unread from {committed}")
        for part in ("processor", "sink-files"):
            pipeline.supervisor.start(pipeline.supervisor.parts[part])
        _wait_until(
            pipeline,
            lambda: len(_retention_dead_letters(settings, name)) == 2,
            "dead letters of the worker and the sink",
        )
        for stage, dead_letter in _retention_dead_letters(settings, name).items():
            detail = dead_letter["detail"]
            log(f"chaos: dead letter of {stage}: {detail}")
            if dead_letter["offset"] > committed[stage] or f"to {end - 1} " not in detail:
                verdict.add_missing(
                    "retention", [f"{stage} reported {detail}, instead of {committed[stage]} to {end - 1}"]
                )
        pipeline.drain()
        result = Audit(settings).run()
        verdict.add_audit("retention", result)
        log(f"chaos: retention of unread records: {result.audit}")
        for gap in result.holes:
            log(f"chaos: audit: deleted unread, reported by {gap}")
        _change_partition_count(settings, directory / "fleet.yaml", pipeline, log, verdict)
    except TimeoutError as error:
        verdict.add_missing("retention", [str(error)])
    finally:
        pipeline.close()


def _change_partition_count(
    settings: KafkaSettings, path: Path, pipeline: LocalPipeline, log: Log, verdict: Verdict
) -> None:
    """Gives one topic of a partition group another count; every process must refuse to start."""
    topic = settings.catalog[RAW_TOPIC].name
    client = kafka.create_admin_client(settings)  # must outlive the futures: its end would cancel them
    for future in client.create_partitions([NewPartitions(topic, 3)]).values():
        future.result(30)
    for command in (["processor"], ["sink", "files"], ["producer", "host", "--fleet", str(path)]):
        part = pipeline.part("refused", *command, metrics=False)
        environment = dict(os.environ) | dict(part.environment)
        done = subprocess.run(part.command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        log(f"chaos: rackstream {command[0]} with a changed partition count: exit {done.returncode}: {last[:160]}")
        if done.returncode != EXIT_MISCONFIGURED or "partition count" not in done.stderr:
            verdict.add_missing("partition count", [f"{command} ended with {done.returncode}: {last}"])


def leader_lost(directory: Path, log: Log, verdict: Verdict, *, rounds: int) -> None:
    """Runs three brokers, secured as in `compose/kafka/secure`; each round kills a leader and restarts it."""
    directory.mkdir(parents=True)
    with Cluster(directory / "brokers", certificates(directory / "certificates"), nodes=3) as cluster:
        settings = cluster.settings(data_dir=directory, partitions=3)
        topics.create(settings, replication=3)
        own = str(settings.ssl_certificate)
        pipeline = LocalPipeline(
            settings,
            write_fleet(directory),
            console=False,
            on_event=log,
            environment={
                "RACKSTREAM_FILES_MAX_SEC": "1",
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "KAFKA_SSL_CA_LOCATION": str(settings.ssl_ca),
                "KAFKA_SSL_CERTIFICATE_LOCATION": own,
                "KAFKA_SSL_KEY_LOCATION": own,
            },
        )
        name = settings.catalog[RAW_TOPIC].name
        try:
            pipeline.start()
            for _ in range(rounds):
                _wait_until(pipeline, _growth(settings, name), "records")
                partition, leader = _leader(settings, name)
                has_grown = _growth(settings, name)
                cluster.kill(leader)
                log(f"chaos: killed broker {leader}, the leader of {name}/{partition}")
                _wait_until(pipeline, has_grown, "records without it")
                cluster.start(leader)
                _wait_until(pipeline, lambda: _in_sync(settings, name) == 3, "three replicas in sync again")
            pipeline.drain()
            result = Audit(settings).run()
            verdict.add_audit("leader lost", result)
            log(f"chaos: leader lost {rounds} times: {result.audit}")
        except TimeoutError as error:
            verdict.add_missing("leader lost", [str(error)])
        finally:
            pipeline.close()


def _wait_until(
    pipeline: LocalPipeline, condition: Callable[[], bool], description: str, *, timeout_s: float = 180
) -> None:
    """Supervises the pipeline until a condition holds; Kafka may be unavailable meanwhile."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(KafkaException):
            if condition():
                return
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {timeout_s:g} s: {description}")
        pipeline.run_periodic()
        time.sleep(0.3)


def _record_count(settings: KafkaSettings, topic: str) -> int:
    return sum(end for _, end in kafka.watermarks(settings, topic).values())


def _growth(settings: KafkaSettings, topic: str) -> Callable[[], bool]:
    """Returns a condition: the topic has grown by some records since now."""
    target_count = _record_count(settings, topic) + MIN_GAP_RECORDS
    return lambda: _record_count(settings, topic) >= target_count


def _end_offset(settings: KafkaSettings, topic: str) -> int:
    return kafka.watermarks(settings, topic)[0][1]


def _lag(settings: KafkaSettings) -> int:
    return lag.lag(settings, ProcessorSettings.read().group, [RAW_TOPIC])


def _retention_dead_letters(settings: KafkaSettings, topic: str) -> dict[str, DeadLetter]:
    dead_letters = (stored.record for stored in store.read_open(settings))
    return {
        dead_letter["stage"]: dead_letter
        for dead_letter in dead_letters
        if dead_letter["reason"] == "retention" and dead_letter["topic"] == topic
    }


def _leader(settings: KafkaSettings, topic: str) -> tuple[int, int]:
    """Returns the partition with most records and its leader."""
    ranges = kafka.watermarks(settings, topic)
    partition = max(ranges, key=lambda number: ranges[number][1])
    metadata = kafka.create_admin_client(settings).list_topics(topic, timeout=15).topics[topic]
    return partition, metadata.partitions[partition].leader


def _in_sync(settings: KafkaSettings, topic: str) -> int:
    partitions = kafka.create_admin_client(settings).list_topics(topic, timeout=15).topics[topic].partitions
    return min(len(partition.isrs) for partition in partitions.values())
