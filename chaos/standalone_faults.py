"""Faults that need a Kafka of their own: retention past a stopped worker, a changed partition count, a lost leader."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions

from chaos.verdict import Verdict
from processors.engine.worker import ProcessorSettings
from rackstream.audit.audit import Audit
from rackstream.dead_letters import store
from rackstream.local.pipeline import Pipeline
from rackstream.topics import lag
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from sinks.run import group
from tests.e2e.support.secured import Cluster, certificates

Say = Callable[[str], None]
SOURCE: Final = "raw-host"
HOLE: Final = 5
"""Records that retention deletes unread, at least."""
REFUSED: Final = 2
"""Exit code: a person must act."""


def fleet(directory: Path) -> Path:
    """This machine as the only target, every half second."""
    path = directory / "fleet.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"host": {"interval": 0.5, "targets": [{"host": "here"}]}}))
    return path


def overtaken(directory: Path, say: Say, verdict: Verdict) -> None:
    """Retention deletes what a stopped worker and a stopped sink have not read; then the partition count changes."""
    settings = KafkaSettings.read(data_dir=directory, partitions=1)
    pipeline = Pipeline(
        settings,
        fleet(directory),
        console=False,
        on_event=say,
        environment={"RACKSTREAM_FILES_MAX_SEC": "1", "RACKSTREAM_PARTITIONS": "1"},
    )
    try:
        pipeline.start()
        settings = pipeline.settings
        name = settings.catalog[SOURCE].name
        _tend(pipeline, lambda: _end(settings, name) >= HOLE and not _behind(settings), "the first records stepped")
        pipeline.supervisor.stop(["processor", "sink-files"])
        begin = _end(settings, name)
        _tend(pipeline, lambda: _end(settings, name) >= begin + HOLE, "records that nobody reads")
        groups = {"processors": ProcessorSettings.read().group, "sink-files": group("files")}
        reached = {stage: lag.committed(settings, each, name).get(0, 0) for stage, each in groups.items()}
        until = _end(settings, name)
        # What retention does, at a moment of our choosing: the log's start moves.
        client = kafka.admin(settings)
        for future in client.delete_records([TopicPartition(name, 0, until)]).values():
            future.result(30)
        say(f"chaos: offsets up to {until - 1} of {name} are deleted, unread from {reached}")
        for part in ("processor", "sink-files"):
            pipeline.supervisor.start(pipeline.supervisor.parts[part])
        _tend(pipeline, lambda: len(_holes(settings, name)) == 2, "a dead letter of the worker and one of the sink")
        for stage, hole in _holes(settings, name).items():
            say(f"chaos: {stage} announced: {hole['detail']}")
            if hole["offset"] > reached[stage] or f"to {until - 1} " not in hole["detail"]:
                verdict.miss(
                    "retention", [f"{stage} named another hole: {hole['detail']}, not {reached[stage]} to {until - 1}"]
                )
        pipeline.drain()
        found = Audit(settings).run()
        verdict.add("retention", found)
        say(f"chaos: retention overtaking: {found.audit}")
        for told in found.holes:
            say(f"chaos: audit: deleted unread, announced by {told}")
        _repartitioned(settings, directory / "fleet.yaml", pipeline, say, verdict)
    except TimeoutError as error:
        verdict.miss("retention", [str(error)])
    finally:
        pipeline.close()


def _repartitioned(settings: KafkaSettings, path: Path, pipeline: Pipeline, say: Say, verdict: Verdict) -> None:
    """One topic of a group that must have one count gets another one: every process has to refuse."""
    topic = settings.catalog[SOURCE].name
    client = kafka.admin(settings)  # kept until the result is there: its end would cancel it
    for future in client.create_partitions([NewPartitions(topic, 3)]).values():
        future.result(30)
    for command in (["processor"], ["sink", "files"], ["producer", "host", "--fleet", str(path)]):
        part = pipeline.part("refused", *command, metrics=False)
        environment = dict(os.environ) | dict(part.environment)
        done = subprocess.run(part.command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        say(f"chaos: rackstream {command[0]} with a changed partition count: exit {done.returncode}: {last[:160]}")
        if done.returncode != REFUSED or "partition count" not in done.stderr:
            verdict.miss("partition count", [f"{command} ended with {done.returncode}: {last}"])


def leader_lost(directory: Path, say: Say, verdict: Verdict, *, rounds: int) -> None:
    """Three brokers, secured as `compose/kafka/secure` says; each round kills a leader and brings it back."""
    directory.mkdir(parents=True)
    with Cluster(directory / "brokers", certificates(directory / "certificates"), nodes=3) as cluster:
        settings = cluster.settings(data_dir=directory, partitions=3)
        topics.create(settings, replication=3)
        own = str(settings.ssl_certificate)
        pipeline = Pipeline(
            settings,
            fleet(directory),
            console=False,
            on_event=say,
            environment={
                "RACKSTREAM_FILES_MAX_SEC": "1",
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "KAFKA_SSL_CA_LOCATION": str(settings.ssl_ca),
                "KAFKA_SSL_CERTIFICATE_LOCATION": own,
                "KAFKA_SSL_KEY_LOCATION": own,
            },
        )
        name = settings.catalog[SOURCE].name
        try:
            pipeline.start()
            for _ in range(rounds):
                _tend(pipeline, _grown(settings, name), "records")
                number, leader = _leader(settings, name)
                grown = _grown(settings, name)
                cluster.kill(leader)
                say(f"chaos: killed broker {leader}, the leader of {name}/{number}")
                _tend(pipeline, grown, "records without it")
                cluster.start(leader)
                _tend(pipeline, lambda: _in_sync(settings, name) == 3, "three replicas in sync again")
            pipeline.drain()
            found = Audit(settings).run()
            verdict.add("leader lost", found)
            say(f"chaos: leader lost {rounds} times: {found.audit}")
        except TimeoutError as error:
            verdict.miss("leader lost", [str(error)])
        finally:
            pipeline.close()


def _tend(pipeline: Pipeline, condition: Callable[[], bool], what: str, *, timeout_s: float = 180) -> None:
    """Waits for something; a broker that does not answer meanwhile is what it is about."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(KafkaException):
            if condition():
                return
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        pipeline.tend()
        time.sleep(0.3)


def _count(settings: KafkaSettings, topic: str) -> int:
    return sum(end for _, end in kafka.watermarks(settings, topic).values())


def _grown(settings: KafkaSettings, topic: str) -> Callable[[], bool]:
    """Whether a topic has some records more than at this moment."""
    wanted = _count(settings, topic) + HOLE
    return lambda: _count(settings, topic) >= wanted


def _end(settings: KafkaSettings, topic: str) -> int:
    return kafka.watermarks(settings, topic)[0][1]


def _behind(settings: KafkaSettings) -> int:
    return lag.lag(settings, ProcessorSettings.read().group, [SOURCE])


def _holes(settings: KafkaSettings, topic: str) -> dict[str, dict[str, Any]]:
    found = (each.record for each in store.read(settings))
    return {each["stage"]: each for each in found if each["reason"] == "retention" and each["topic"] == topic}


def _leader(settings: KafkaSettings, topic: str) -> tuple[int, int]:
    """The partition with most records, and the number of its leader."""
    spans = kafka.watermarks(settings, topic)
    number = max(spans, key=lambda each: spans[each][1])
    return number, kafka.admin(settings).list_topics(topic, timeout=15).topics[topic].partitions[number].leader


def _in_sync(settings: KafkaSettings, topic: str) -> int:
    partitions = kafka.admin(settings).list_topics(topic, timeout=15).topics[topic].partitions
    return min(len(partition.isrs) for partition in partitions.values())
