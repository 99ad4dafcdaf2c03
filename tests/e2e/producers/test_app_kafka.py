"""Applications on a real Kafka: what they report is on the topic once, in order, numbered, and stored by the sinks."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from producers.app import EventType, TelemetryCollector, TelemetryConfig
from producers.app.kafka import KafkaStorage
from producers.app.streaming import TelemetryStream
from rackstream.audit.audit import Audit
from runtime import kafka as clients
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from sinks.consuming import loop
from sinks.files.sink import FilesSink
from sinks.settings import BatchLimits
from tests.e2e.support.parts import records, until

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "kafka_events.py"


def collector(storage: KafkaStorage, **config: Any) -> TelemetryCollector:
    return TelemetryCollector(TelemetryConfig(**{"flush_interval": 3600} | config), storage=storage)


def events(settings: KafkaSettings, source: str) -> list[dict[str, Any]]:
    return [
        event for record in records(settings, "raw-app") if record["source"] == source for event in record["events"]
    ]


def test_a_batch_is_one_record_keyed_by_its_application(kafka: KafkaSettings) -> None:
    storage = KafkaStorage("shop", settings=kafka, labels={"rack": "r1"})
    with collector(storage) as ours:
        ours.collect_event("cart", "added", EventType.DEBUG, {"items": [1, 2], "big": 2**70, "free": False})
        ours.collect_metric("size", 2, "items", {"cart": 7})
        ours.collect_event("cart", "paid")
    assert storage.close() == 0

    [record] = records(kafka, "raw-app")
    assert ["added", "paid"] == [event["message"] for event in record["events"]]
    assert {"items": "[1,2]", "big": "1180591620717411303424", "free": False} == record["events"][0]["metadata"]
    assert ("size", 2.0, "items", {"cart": 7}) == tuple(
        record["metrics"][0][name] for name in ("name", "value", "unit", "tags")
    )
    host = socket.gethostname()
    assert (host, "telemetry", "shop", f"app-shop-0@{host}", 0) == tuple(
        record[name] for name in ("host", "category", "source", "producer", "sequence")
    )
    assert {"rack": "r1"} == record["labels"]
    [message] = clients.read_all(kafka, kafka.catalog["raw-app"].name)
    assert b"shop" == message.key()
    assert (1, 0, 0, 0) == (storage.confirmed, storage.dropped, storage.rejected, storage.waiting)


def test_eight_threads_reach_kafka_once_and_in_order(kafka: KafkaSettings) -> None:
    storage = KafkaStorage("shop", settings=kafka)
    ours = collector(storage, buffer_size=200, flush_interval=0.05)

    def work(thread: int) -> None:
        for number in range(5000):
            ours.collect_event(str(thread), str(number))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ours.close()
    assert storage.close() == 0

    found = events(kafka, "shop")
    assert 40_000 == len({event["event_id"] for event in found}) == len(found)
    for thread in range(8):
        mine = [int(event["message"]) for event in found if event["source"] == str(thread)]
        assert list(range(5000)) == mine
    sequences = [record["sequence"] for record in records(kafka, "raw-app")]
    assert list(range(len(sequences))) == sequences


def test_the_recipe_runs_and_what_it_reports_is_retrieved(kafka: KafkaSettings) -> None:
    storage = KafkaStorage("shop", settings=kafka)
    runpy.run_path(str(EXAMPLE))["report"](storage)
    assert 0 == storage.flush()

    found = storage.retrieve()
    assert [("shop", "order placed", {"order": 17, "items": '["cup","pot"]'})] == [
        (event.source, event.message, event.metadata) for event in found.events
    ]
    assert [("order", "ms", {"success": True})] == [(metric.name, metric.unit, metric.tags) for metric in found.metrics]
    [executions] = [record["executions"] for record in records(kafka, "raw-app") if record["category"] == "executions"]
    assert (1, 1, 0) == tuple(
        executions[0][name] for name in ("commands_executed", "successful_commands", "failed_commands")
    )
    assert [] == storage.retrieve(limit=0).items
    storage.close()


def test_a_streams_items_go_to_its_kafka(kafka: KafkaSettings) -> None:
    ours = TelemetryCollector()
    storage = KafkaStorage("shop", settings=kafka)
    with TelemetryStream(ours, storage, interval=3600):
        ours.collect_event("s", "streamed")

    assert ["streamed"] == [event["message"] for event in events(kafka, "shop")]
    assert [] == ours.storage.retrieve().items
    storage.close()


def script(kafka: KafkaSettings, body: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "RACKSTREAM_TOPIC_PREFIX": kafka.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(kafka.data_dir),
    }
    head = """
import os, sys, time
from producers.app import TelemetryCollector, TelemetryConfig
from producers.app.storage import KafkaStorage
collector = TelemetryCollector(TelemetryConfig(flush_interval=3600), storage=KafkaStorage("shop"))
"""
    return subprocess.Popen([sys.executable, "-c", head + textwrap.dedent(body)], cwd=ROOT, env=environment)


def test_nothing_is_lost_when_an_application_ends_without_a_word(kafka: KafkaSettings) -> None:
    assert 0 == script(kafka, "for n in range(250): collector.collect_event('s', str(n))").wait(60)

    assert [str(number) for number in range(250)] == [event["message"] for event in events(kafka, "shop")]


def test_a_forked_worker_has_a_connection_and_a_number_of_its_own(kafka: KafkaSettings) -> None:
    body = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        collector.collect_event("parent", "before")
        collector.flush()
        collector.storage.flush()
        collector.collect_event("parent", "buffered at the fork")
        children = []
        for number in range(2):
            child = os.fork()
            if child == 0:
                collector.collect_event("child", str(number))
                collector.close()
                os._exit(collector.storage.flush())
            children.append(child)
        sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
    """
    assert 0 == script(kafka, body).wait(60)

    assert ["0", "1", "before", "buffered at the fork"] == sorted(event["message"] for event in events(kafka, "shop"))
    assert 3 == len({record["producer"] for record in records(kafka, "raw-app")})


def test_a_restart_of_a_killed_application_names_its_last_record_and_the_audit_finds_no_loss(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    body = """
        collector.collect_event("s", "first")
        collector.flush()
        collector.storage.flush()
        os.kill(os.getpid(), 9)
    """
    beside = KafkaStorage("shop", settings=kafka)
    with collector(beside) as ours:
        ours.collect_event("s", "beside")
        for _ in range(2):
            assert -signal.SIGKILL == script(kafka, body).wait(60)
        ours.collect_event("s", "still beside")
        ours.flush()
    beside.close()

    killed = [record for record in records(kafka, "raw-app") if record["events"][0]["message"] == "first"]
    first, second = sorted(killed, key=lambda record: record["epoch"])
    assert (first["producer"], first["epoch"], 0) == tuple(
        second[name] for name in ("producer", "previous_epoch", "previous_sequence")
    )
    finding = Audit(kafka, files=tmp_path / "none").run()
    assert (0, 0, 0) == (finding.audit.gaps, finding.audit.late, finding.audit.republished)
    assert [] == [example for example in finding.examples if example.startswith("raw")]


def test_the_files_sink_stores_each_event_and_metric_once(kafka: KafkaSettings, tmp_path: Path) -> None:
    storage = KafkaStorage("shop", settings=kafka)
    runpy.run_path(str(EXAMPLE))["report"](storage)
    with collector(storage, buffer_size=3) as ours:
        for number in range(10):
            ours.collect_metric("n", number)
    storage.close()
    with storing(kafka, tmp_path):
        audit = until(lambda: healthy(kafka, tmp_path), timeout_s=90)
    assert {"app_event": 1, "app_metric": 11, "app_execution": 1} == audit.datasets


def test_an_audit_invents_nothing_of_what_is_stored_while_it_reads(kafka: KafkaSettings, tmp_path: Path) -> None:
    storage, done = KafkaStorage("shop", settings=kafka), threading.Event()

    def work() -> None:
        with collector(storage, buffer_size=1) as ours:
            while not done.wait(0.02):
                ours.collect_metric("n", 1)

    worker = threading.Thread(target=work)
    with storing(kafka, tmp_path):
        worker.start()
        try:
            audits = [until(lambda: (found := Audit(kafka, files=tmp_path).run()).datasets and found) for _ in range(2)]
        finally:
            done.set()
            worker.join(30)
            storage.close()

    assert [(0, 0, 0, 0)] * 2 == [
        (audit.audit.lost, audit.audit.twice, audit.audit.wrong, audit.audit.invented) for audit in audits
    ], audits[-1].examples
    assert audits[0].datasets["app_metric"] < audits[1].datasets["app_metric"]


@contextmanager
def storing(kafka: KafkaSettings, root: Path) -> Iterator[None]:
    """The files sink, in a thread."""
    stop, limits = threading.Event(), BatchLimits(max_records=50, max_age_s=0.2, drain_s=5)
    options = {"group": kafka.topic_prefix + "g", "limits": limits, "stop": stop}
    thread = threading.Thread(target=loop.run, args=(FilesSink(kafka, root), kafka), daemon=True, kwargs=options)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def healthy(kafka: KafkaSettings, files: Path) -> Any:
    finding = Audit(kafka, files=files).run()
    return finding if finding.healthy and not finding.audit.pending and finding.datasets else None


def test_without_kafka_an_application_is_not_held_up_and_its_next_start_sends_what_is_on_disk(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from producers.app import kafka as module

    monkeypatch.setattr(module, "FIRST_ANSWER_S", 0.1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{nobody.getsockname()[1]}"
        storage = KafkaStorage("shop", settings=kafka.model_copy(update={"bootstrap": away}))
        ours = collector(storage, buffer_size=1)
        began_s = time.monotonic()
        for number in range(50):
            ours.collect_event("s", str(number))
        assert time.monotonic() - began_s < 25
        until(lambda: storage.unsaved == 0)
        assert (50, 0) == (storage.waiting, ours.held)
        assert 0 == storage.close(0.1), "given up"
    again = KafkaStorage("shop", settings=kafka)
    with collector(again, buffer_size=1) as ours:
        ours.collect_event("s", "50")
        assert 0 == again.flush(30)
    again.close()

    assert [str(number) for number in range(51)] == [event["message"] for event in events(kafka, "shop")]


def test_what_a_process_with_another_number_left_on_disk_is_sent_too(kafka: KafkaSettings, tmp_path: Path) -> None:
    from producers.publishing.spool import OutgoingRecord, Spool

    folder = kafka.data_dir / "producers"
    before = KafkaStorage("shop", settings=kafka)
    with collector(before) as ours:
        ours.collect_event("s", "0")
    before.close()
    [message] = clients.read_all(kafka, kafka.catalog["raw-app"].name)
    (folder / "app-shop-1.lock").touch()
    other = Spool(folder / "app-shop-1.spool.db", max_bytes=10**6, max_age_s=3600)
    other.write(
        [OutgoingRecord(time.time(), "h", "telemetry", "e", 0, message.topic(), message.key(), message.value())]
    )
    other.close()
    again = KafkaStorage("shop", settings=kafka)
    with collector(again) as ours:
        ours.collect_event("s", "1")
    again.close()

    assert ["0", "0", "1"] == [event["message"] for event in events(kafka, "shop")]


def test_where_no_thread_can_be_started_any_more_a_flush_publishes(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    storage = KafkaStorage("shop", settings=kafka)
    with collector(storage) as ours:
        ours.collect_event("s", "late")
    assert storage.close() == 0
    monkeypatch.undo()

    assert ["late"] == [event["message"] for event in events(kafka, "shop")]


def test_nothing_says_where_kafka_is() -> None:
    with pytest.raises(Misconfigured, match="KAFKA_BOOTSTRAP_SERVERS: not set"):
        KafkaStorage("shop", settings=KafkaSettings.read(bootstrap=""))
