"""Sinks on a real Kafka: what is stored is what was produced, whatever dies in between."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import TopicPartition
from pyarrow import parquet

from rackstream.local.broker import EmbeddedKafka
from runtime import kafka as clients
from runtime import topics
from runtime.errors import Misconfigured, Reject, Retry
from runtime.metrics import RECORDS_IN, RECORDS_REPEATED
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import make_raw_record as raw_record
from sinks.consuming import loop as batch
from sinks.consuming.assignment import PartitionAssignment
from sinks.consuming.dead_letters import DeadLetterPublisher
from sinks.files import manifest
from sinks.files.archive_sink import ArchiveSink
from sinks.files.sink import FilesSink
from sinks.settings import BatchLimits
from sinks.sink import Batch, Sink
from tests.e2e.support import parts
from tests.e2e.support.kills import killed_under_load
from tests.e2e.support.parts import counter_value

pytestmark = pytest.mark.kafka
AT = datetime(2026, 1, 2, 3, 59, 50, tzinfo=UTC)
QUICK = BatchLimits(max_records=50, max_age_s=0.2, drain_s=5)
GARBAGE = {
    "random bytes": bytes(range(7, 90)),
    "unknown schema": b"\0\x7f\xff\xff\xfe" + b"x" * 20,
    "empty": b"",
}


def sample(host: str, sequence: int) -> dict[str, Any]:
    return {
        "host": host, "category": "host", "observed_at": AT + timedelta(seconds=sequence), "monotonic_s": 1.0,
        "producer": "p", "epoch": "e", "sequence": sequence, "duration_s": 0.1, "interval_s": 1.0,
        "labels": {"rack": "r1"}, "fans": [{"sensor": f"f{at}", "speed_rpm": 100.0} for at in range(3)],
    }  # fmt: skip


def encoded(record: dict[str, Any]) -> bytes:
    return codec.encode(catalog.schema("HostSample"), record)


def produce(settings: KafkaSettings, sequences: range, hosts: int = 4) -> None:
    publisher = clients.KafkaPublisher(settings, "test")
    for sequence in sequences:
        for host in range(hosts):
            publisher.send(settings.catalog["raw-host"].name, b"h%d" % host, encoded(sample(f"h{host}", sequence)))
    assert publisher.flush(20) == 0
    assert not publisher.delivery_failures


def produce_values(settings: KafkaSettings, values: list[bytes]) -> None:
    publisher = clients.KafkaPublisher(settings, "test")
    for value in values:
        publisher.send(settings.catalog["raw-host"].name, b"h0", value)
    assert publisher.flush(20) == 0


def stored(root: Path, dataset: str = "host") -> Counter[tuple[str, int]]:
    """How often each record's row is in the files there are, committed or not."""
    counts: Counter[tuple[str, int]] = Counter()
    for path in (root / dataset).glob("*/*/*.parquet"):
        table = parquet.ParquetFile(path).read(["host", "sequence"]).to_pydict()
        counts.update(zip(table["host"], table["sequence"], strict=True))
    return counts


def all_once(sequences: range, hosts: int = 4, rows: int = 1) -> Counter[tuple[str, int]]:
    return Counter({(f"h{host}", sequence): rows for host in range(hosts) for sequence in sequences})


def letters(settings: KafkaSettings) -> list[dict[str, Any]]:
    decoder = codec.Decoder(catalog.schema("DeadLetter"))
    messages = clients.read_all(settings, settings.catalog["dead-letter"].name)
    return [decoder.decode(message.value()) for message in messages]


def committed(settings: KafkaSettings) -> int:
    """Records of raw-host behind the group's committed offsets."""
    consumer = clients.create_consumer(settings, settings.topic_prefix + "g")
    name = settings.catalog["raw-host"].name
    positions = consumer.committed([TopicPartition(name, number) for number in range(2)], timeout=30)
    consumer.close()
    return sum(max(position.offset, 0) for position in positions)


def until(true: Callable[[], Any], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.1)


class Running(threading.Thread):
    """A sink in a thread; `error` is what ended it."""

    def __init__(self, sink: Sink, settings: KafkaSettings, limits: BatchLimits, *, alone: bool = False) -> None:
        super().__init__(daemon=True)
        self.sink, self.settings, self.limits, self.alone = sink, settings, limits, alone
        self.stopping, self.ready, self.error = threading.Event(), threading.Event(), None

    def run(self) -> None:
        try:
            batch.run(
                self.sink,
                self.settings,
                group=self.settings.topic_prefix + "g",
                limits=self.limits,
                stop=self.stopping,
                ready=self.ready.set,
                static_member=self.alone,
            )
        except Exception as error:  # noqa: BLE001  the test looks at it
            self.error = error

    def end(self) -> None:
        self.stopping.set()
        self.join(90)
        assert not self.is_alive()


@contextmanager
def running(
    sink: Sink, settings: KafkaSettings, limits: BatchLimits = QUICK, *, alone: bool = False
) -> Iterator[Running]:
    run = Running(sink, settings, limits, alone=alone)
    run.start()
    try:
        yield run
    finally:
        run.end()
    assert run.error is None


class Scripted:
    """A sink that answers each write with the next of some errors, then stores."""

    name = "scripted"
    topics = ("raw-host",)

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.stored: list[tuple[str, int]] = []
        self.batches: list[Batch] = []

    def assign(self, partition: Any, span: Any) -> int | None:
        return None

    def revoke(self, partition: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def write(self, batch: Batch) -> None:
        self.batches.append(batch)
        error = self.errors.pop(0) if self.errors else None
        if error is not None and not isinstance(error, Reject):
            raise error
        refused = error.reasons if isinstance(error, Reject) else {}
        self.stored += [
            (item.record["host"], item.record["sequence"])
            for index, item in enumerate(batch.items)
            if index not in refused
        ]
        if error is not None:
            raise error


def test_files_hold_every_record_once_and_garbage_goes_to_the_dead_letter(kafka: KafkaSettings, tmp_path) -> None:
    good = encoded(sample("h0", 1000))
    bad = [*GARBAGE.values(), good[:-9], good + b"x", codec.encode(catalog.schema("Alert"), ALERT)]
    produce(kafka, range(50))
    produce_values(kafka, bad)
    produce(kafka, range(50, 100))
    root = tmp_path / "files"
    with running(FilesSink(kafka, root), kafka):
        until(lambda: committed(kafka) == 400 + len(bad))
    assert stored(root) == all_once(range(100))
    assert stored(root, "host_fan") == all_once(range(100), rows=3)
    rejected = sorted(letters(kafka), key=lambda letter: letter["offset"])
    assert [(letter["reason"], letter["value"]) for letter in rejected] == list(
        zip(["not-framed", "unknown-schema", "empty", "truncated", "truncated", "foreign-schema"],
            [value or b"" for value in bad], strict=True)
    )  # fmt: skip
    assert {letter["stage"] for letter in rejected} == {"sink-files"}


ALERT = {"id": "1", "revision": 0, "transition": "raised", "host": "h", "rule": "r", "component": "c",
         "severity": "warning", "text": "t", "started_at": AT, "observed_at": AT, "category": "c", "epoch": "e",
         "sequence": 0}  # fmt: skip

KILLED = """
    import os, signal, sys
    from pathlib import Path
    from rackstream.commands.common import stop_event
    from runtime.settings import KafkaSettings
    from sinks.consuming import loop
    from sinks.consuming.group_member import ConsumerGroupMember
    from sinks.files import archive_sink, hourly_files, manifest, sink as files_sink
    from sinks.settings import BatchLimits

    moment, bootstrap, prefix, root, kind = sys.argv[1:]
    die = lambda: os.kill(os.getpid(), signal.SIGKILL)
    calls = 0

    def third(original, before):
        def call(*args):
            global calls
            calls += 1
            if before and calls == 3:
                die()
            result = original(*args)
            if calls == 3:
                die()
            return result
        return call

    if moment == "within the files":
        hourly_files.write_file = third(hourly_files.write_file, before=False)
    elif moment == "before the manifest line":
        manifest.PartitionManifest.commit = third(manifest.PartitionManifest.commit, before=True)
    elif moment == "after the manifest line":
        manifest.PartitionManifest.commit = third(manifest.PartitionManifest.commit, before=False)
    elif moment == "before the offsets":
        ConsumerGroupMember.commit = third(ConsumerGroupMember.commit, before=True)
    elif moment.startswith("silence of"):
        die = lambda: os.kill(int(moment.split()[-1]), signal.SIGSTOP)
        ConsumerGroupMember.commit = third(ConsumerGroupMember.commit, before=True)
    settings = KafkaSettings.read(bootstrap=bootstrap, topic_prefix=prefix)
    sink = (archive_sink.ArchiveSink if kind == "archive" else files_sink.FilesSink)(settings, Path(root))
    limits = BatchLimits(max_records=50, max_age_s=0.2, drain_s=1)
    options = {"group": prefix + "g", "limits": limits, "static_member": moment == "alone"}
    loop.run(sink, settings, stop=stop_event(), **options)
"""


def in_process(kafka: KafkaSettings, root: Path, moment: str, kind: str = "files") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), moment, kafka.bootstrap, kafka.topic_prefix, str(root), kind],
        cwd=Path(__file__).parents[3],
    )


@pytest.mark.parametrize(
    "moment", ["within the files", "before the manifest line", "after the manifest line", "before the offsets"]
)
def test_a_sink_killed_stores_nothing_twice_and_loses_nothing(kafka: KafkaSettings, tmp_path, moment) -> None:
    root = tmp_path / "files"
    produce(kafka, range(100))
    killed = in_process(kafka, root, moment)
    assert killed.wait(60) == -signal.SIGKILL
    listed = {root / file.path for entry in manifest.read_manifest(root) for file in entry.files}
    left = set(root.rglob("*.parquet")) - listed
    assert bool(left) == (moment in ("within the files", "before the manifest line"))
    produce(kafka, range(100, 120))
    with running(FilesSink(kafka, root), kafka):
        until(lambda: committed(kafka) == 480)
    assert stored(root) == all_once(range(120))
    assert not list(root.rglob("*.tmp"))


@pytest.mark.parametrize(
    "moment", [pytest.param("before the manifest line", marks=pytest.mark.soak), "before the offsets"]
)
def test_an_archive_killed_has_every_record_once_and_garbage_too(kafka: KafkaSettings, tmp_path, moment) -> None:
    produce(kafka, range(100))
    produce_values(kafka, [*GARBAGE.values()])
    assert in_process(kafka, tmp_path, moment, "archive").wait(60) == -signal.SIGKILL
    produce(kafka, range(100, 120))
    with running(ArchiveSink(kafka, tmp_path), kafka):
        until(lambda: committed(kafka) == 480 + len(GARBAGE))
    name = kafka.catalog["raw-host"].name
    read = [
        (row["partition"], row["offset"], row["key"], row["value"])
        for path in tmp_path.rglob("*.avro")
        for row in fastavro.reader(BytesIO(path.read_bytes()))
    ]
    on_kafka = [
        (message.partition(), message.offset(), message.key(), message.value())
        for message in clients.read_all(kafka, name)
    ]
    assert sorted(read) == sorted(on_kafka)
    assert not letters(kafka)


@pytest.mark.parametrize(
    ("kills", "alone"),
    [
        pytest.param(3, True, id="3, replaced at once"),
        pytest.param(20, False, id="20, each replaced when its group has missed it", marks=pytest.mark.soak),
    ],
)
def test_kills_at_any_moment_in_a_row(kafka: KafkaSettings, tmp_path, kills: int, *, alone: bool) -> None:
    root = tmp_path / "files"
    facts = killed_under_load(
        kafka,
        lambda: in_process(kafka, root, "alone" if alone else "never"),
        lambda: sum(path.stat().st_size for path in (root / "_manifest").glob("*")),
        kills,
    )
    with running(FilesSink(kafka, root), kafka, alone=alone):
        until(lambda: committed(kafka) == len(facts), 120)
    expected = Counter(facts)
    rows = stored(root)
    print(f"{kills} kills: {len(facts)} facts, {(expected - rows).total()} lost, {(rows - expected).total()} twice")
    assert expected == rows == stored(root, "host_fan")


def test_two_sinks_share_the_partitions_and_the_one_left_takes_all(kafka: KafkaSettings, tmp_path) -> None:
    root = tmp_path / "files"
    produce(kafka, range(50))
    with running(FilesSink(kafka, root), kafka) as first:
        until(lambda: committed(kafka) == 200)
        with running(FilesSink(kafka, root), kafka) as second:
            until(lambda: len(second.sink.manifests) and len(first.sink.manifests) and second.ready.is_set())
            assert not set(first.sink.manifests) & set(second.sink.manifests)
            produce(kafka, range(50, 100))
            until(lambda: committed(kafka) == 400)
            first.end()
            produce(kafka, range(100, 150))
            until(lambda: committed(kafka) == 600)
    assert stored(root) == all_once(range(150))


def test_partitions_lost_while_they_are_paused_are_read_when_they_come_back(kafka: KafkaSettings) -> None:
    """librdkafka keeps the pause of a partition whose membership it lost: after a broker's restart a sink sat still."""
    produce(kafka, range(5))
    consumer = clients.create_consumer(kafka, kafka.topic_prefix + "g", **{"max.poll.interval.ms": 6000})
    assignment = PartitionAssignment(kafka, consumer, Scripted(), DeadLetterPublisher(kafka, "sink-test"), lambda: None)
    assignment.subscribe([kafka.catalog["raw-host"].name])

    def read(count: int) -> None:
        got = 0
        deadline = time.monotonic() + 90
        while got < count:
            assert time.monotonic() < deadline, f"{got} of {count} records"
            assignment.assign_pending()
            got += sum(message.error() is None for message in consumer.consume(100, 0.2))

    read(20)
    consumer.pause([TopicPartition(*key) for key in assignment.owned])
    time.sleep(7)  # longer than max.poll.interval.ms: the group goes on without us
    read(20)  # again from the start, for nothing was committed
    consumer.close()


def test_a_stop_writes_and_commits_what_is_held(kafka: KafkaSettings) -> None:
    sink = Scripted()
    produce(kafka, range(10))
    before = counter_value(RECORDS_IN, "raw-host")
    with running(sink, kafka, BatchLimits(max_age_s=600)):
        until(lambda: counter_value(RECORDS_IN, "raw-host") == before + 40)
        assert not sink.batches
    assert Counter(sink.stored) == all_once(range(10))
    assert committed(kafka) == 40


def test_a_stop_while_kafka_does_not_answer_a_commit_ends_in_time_and_nothing_is_stored_twice(tmp_path) -> None:
    """librdkafka waited for the group's coordinator without a limit, in the commit and again in the close."""
    root = tmp_path / "files"
    with EmbeddedKafka(tmp_path / "broker") as broker:
        kafka = KafkaSettings.read(
            bootstrap=broker.bootstrap, topic_prefix="t.", partitions=2, data_dir=tmp_path / "data"
        )
        topics.create(kafka)
        topics.publish_schemas(kafka)
        produce(kafka, range(100))
        assert broker.pid
        sink = in_process(kafka, root, f"silence of {broker.pid}")
        try:
            until(lambda: Path(f"/proc/{broker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
            sink.terminate()
            assert sink.wait(40) == 0
            assert len(list(manifest.read_manifest(root))) >= 3
        finally:
            os.kill(broker.pid, signal.SIGCONT)
            sink.kill()
        with running(FilesSink(kafka, root), kafka):
            until(lambda: stored(root) == all_once(range(100)))  # until then the broker may not know the group again
            until(lambda: committed(kafka) == 400)
    assert stored(root) == all_once(range(100))


def test_a_destination_that_is_away_gets_the_same_records_again(kafka: KafkaSettings) -> None:
    sink = Scripted(Retry("away"), Retry("away", after_s=1.5), Retry("away"))
    produce(kafka, range(10))
    with running(sink, kafka):
        until(lambda: committed(kafka) == 40)
    assert Counter(sink.stored) == all_once(range(10))
    first = [item.offset for item in sink.batches[0].items]
    assert all([item.offset for item in batch.items] == first for batch in sink.batches[1:4])


def test_a_stop_while_the_destination_is_away_loses_nothing(kafka: KafkaSettings) -> None:
    produce(kafka, range(10))
    with running(Scripted(*[Retry("away")] * 1000), kafka, BatchLimits(max_age_s=0.1, drain_s=1)) as run:
        until(lambda: len(run.sink.batches) > 2)
    assert committed(kafka) == 0
    sink = Scripted()
    with running(sink, kafka):
        until(lambda: committed(kafka) == 40)
    assert Counter(sink.stored) == all_once(range(10))


def test_refused_records_go_to_the_dead_letter_and_the_others_count(kafka: KafkaSettings) -> None:
    sink = Scripted(Reject({0: "too cold", 2: "too warm"}))
    produce(kafka, range(5))
    with running(sink, kafka):
        until(lambda: committed(kafka) == 20)
    reasons = {(letter["reason"], letter["detail"]) for letter in letters(kafka)}
    assert reasons == {("refused", "too cold"), ("refused", "too warm")}
    assert len(sink.stored) == 18


def test_what_a_person_must_mend_ends_the_loop_with_nothing_committed(kafka: KafkaSettings) -> None:
    produce(kafka, range(5))
    run = Running(Scripted(Misconfigured("INFLUX_TOKEN")), kafka, QUICK)
    run.start()
    run.join(90)
    assert isinstance(run.error, Misconfigured)
    assert committed(kafka) == 0


def test_a_destination_that_refuses_everything_does_not_drain_the_topic(kafka: KafkaSettings) -> None:
    produce(kafka, range(200))
    run = Running(Scripted(*[Reject(dict.fromkeys(range(50), "no"))] * 100), kafka, QUICK)
    run.start()
    run.join(90)
    assert isinstance(run.error, Misconfigured)
    assert "in a row" in str(run.error)
    assert len(letters(kafka)) < 300


def delete(settings: KafkaSettings, before: int) -> dict[int, int]:
    """What retention does, at once; returns the first offset left of each partition."""
    name = settings.catalog["raw-host"].name
    spans = clients.watermarks(settings, name)
    ends = {number: min(before, end) for number, (_, end) in spans.items()}
    admin = clients.create_admin_client(settings)
    futures = admin.delete_records([TopicPartition(name, *item) for item in ends.items()])
    for future in futures.values():
        future.result(20)
    return ends


def test_a_hole_that_retention_made_is_a_letter_and_reading_goes_on(kafka: KafkaSettings) -> None:
    produce(kafka, range(10))
    with running(Scripted(), kafka):
        until(lambda: committed(kafka) == 40)
    spans = clients.watermarks(kafka, kafka.catalog["raw-host"].name)
    produce(kafka, range(10, 30))
    delete(kafka, before=30)
    sink = Scripted()
    with running(sink, kafka):
        until(lambda: committed(kafka) == 120)
    by_partition = {letter["partition"]: letter for letter in letters(kafka)}
    assert {letter["reason"] for letter in by_partition.values()} == {"retention"}
    for number, (_, end) in spans.items():
        if end < 30:
            assert by_partition[number]["offset"] == end
            assert f"offsets {end} to 29 " in by_partition[number]["detail"]
    lost = sum(30 - end for _, end in spans.values() if end < 30)
    assert len(sink.stored) == 80 - lost


def test_retention_that_overtakes_a_sink_while_it_waits_is_a_hole_too(kafka: KafkaSettings) -> None:
    produce(kafka, range(500))
    away = [Retry("away")] * 1000
    sink = Scripted(*away)
    with running(sink, kafka, BatchLimits(max_records=1, max_age_s=0.1)):
        until(lambda: len(sink.batches) > 2)
        ends = delete(kafka, before=900)
        sink.errors.clear()
        total = sum(end for _, end in clients.watermarks(kafka, kafka.catalog["raw-host"].name).values())
        until(lambda: committed(kafka) == total)
    assert total == 2000
    holes = [letter for letter in letters(kafka) if letter["reason"] == "retention"]
    assert holes
    assert {hole["partition"] for hole in holes} <= set(ends)
    lost = sum(int(re.search(r"at most (\d+) records", hole["detail"])[1]) for hole in holes)
    assert len(sink.stored) == 2000 - lost


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path_factory.mktemp("own"))
    broker.start()
    yield broker
    broker.stop()


def test_a_broker_that_is_killed_and_comes_back_is_no_reason_to_end(own_broker: EmbeddedKafka, tmp_path) -> None:
    settings = KafkaSettings.read(bootstrap=own_broker.bootstrap, partitions=2, data_dir=tmp_path)
    topics.create(settings)
    topics.publish_schemas(settings)
    root = tmp_path / "files"
    produce(settings, range(50))
    with running(FilesSink(settings, root), settings) as run:
        until(lambda: committed(settings) == 200)
        own_broker.kill()
        time.sleep(8)  # longer than the session of the group
        own_broker.start()
        produce(settings, range(50, 100))
        until(lambda: committed(settings) == 400, 120)
        assert run.is_alive()
    assert stored(root) == all_once(range(100))


def test_a_record_that_is_on_its_topic_twice_is_stored_once(kafka: KafkaSettings, tmp_path) -> None:
    """As a producer killed while it drains its spool sends it: whoever has the partition by then."""
    root, before = tmp_path / "files", counter_value(RECORDS_REPEATED, "raw-host")
    produce(kafka, range(20))
    with running(FilesSink(kafka, root), kafka):
        until(lambda: committed(kafka) == 80)
        produce(kafka, range(10, 20))
        until(lambda: committed(kafka) == 120)
    produce(kafka, range(5, 15))
    with running(FilesSink(kafka, root), kafka) as first:  # after a stop
        until(lambda: committed(kafka) == 160)
        with running(FilesSink(kafka, root), kafka) as second:
            until(lambda: second.ready.is_set() and second.sink.manifests and first.sink.manifests)
            produce(kafka, range(25))  # the first 20 again, one part of them in another process
            until(lambda: committed(kafka) == 260)
    assert stored(root) == all_once(range(25))
    assert stored(root, "host_fan") == all_once(range(25), rows=3)
    assert counter_value(RECORDS_REPEATED, "raw-host") - before == 40 + 40 + 80


def test_a_sink_killed_knows_from_the_topic_what_it_had_stored(kafka: KafkaSettings, tmp_path) -> None:
    produce(kafka, range(20))
    killed = in_process(kafka, tmp_path / "files", "alone")
    until(lambda: committed(kafka) == 80)
    killed.kill()
    killed.wait(10)
    assert not list(tmp_path.rglob("*.stored.json"))
    produce(kafka, range(25))
    with running(FilesSink(kafka, tmp_path / "files"), kafka, alone=True):
        until(lambda: committed(kafka) == 180)
    produce(kafka, range(30))
    with running(FilesSink(kafka, tmp_path / "another machine"), kafka, alone=True):
        until(lambda: committed(kafka) == 300)
    assert stored(tmp_path / "files") == all_once(range(25))
    assert stored(tmp_path / "another machine") == all_once(range(25, 30))


def test_what_comes_late_is_no_second_copy(kafka: KafkaSettings, tmp_path) -> None:
    late = [sample("h0", sequence) | {"epoch": epoch} for epoch, sequence in (("f", 9), ("e", 4), ("f", 0), ("e", 9))]
    with running(FilesSink(kafka, tmp_path), kafka):
        for count in (4, 8):
            produce_values(kafka, [encoded(record) for record in late])
            until(lambda count=count: committed(kafka) == count)
    rows = [row for path in tmp_path.glob("host/*/*/*.parquet") for row in parquet.ParquetFile(path).read().to_pylist()]
    assert sorted((row["epoch"], row["sequence"]) for row in rows) == [("e", 4), ("e", 9), ("f", 0), ("f", 9)]


def test_a_sink_told_to_stop_stores_what_was_produced_before(kafka: KafkaSettings, tmp_path: Path) -> None:
    """Held records are not even due: the stop alone makes it read to the end, write and commit."""
    slow = {"RACKSTREAM_FILES_MAX_SEC": "3600", "RACKSTREAM_FILES_ROOT": str(tmp_path / "files")}
    with parts.running(parts.part(kafka, "sink", "sink", "files", **slow)) as supervisor:
        parts.publish(kafka, "raw-host", *[raw_record("HostSample", at_s=n, category="host") for n in range(500)])
        process = supervisor.parts["sink"].process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0

    stored = manifest.read_manifest(tmp_path / "files")
    assert sum(file.rows for entry in stored for file in entry.files) == 500
