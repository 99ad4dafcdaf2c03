"""A broker away: what producers and applications hand over meanwhile arrives, in order, also after kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rackstream.audit.counters import SequenceRanges
from rackstream.local.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from tests.e2e.support import fleets
from tests.e2e.support.parts import part, records, running, until

pytestmark = pytest.mark.kafka
RARELY = ("processor", "memory", "storage", "network")
"""Categories of which the test has enough at the first poll."""
BLOCKED_S = 1.0 + 1.0
"""A collector's rule is 1 s; as much again for a busy machine."""
APPLICATION = """
    import sys, time
    from producers.app import TelemetryCollector, TelemetryConfig
    from producers.app.kafka import KafkaStorage

    storage = KafkaStorage("shop")
    collector = TelemetryCollector(TelemetryConfig(buffer_size=10, flush_interval=3600), storage=storage)
    number, ledger = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
    longest_s = 0.0
    while True:
        for _ in range(10):
            began_s = time.monotonic()
            collector.collect_event("counter", str(number))
            longest_s = max(longest_s, time.monotonic() - began_s)
            number += 1
        while storage.unsaved:
            time.sleep(0.005)
        ledger.write(f"{number} {longest_s}\\n")
        time.sleep(0.05)
"""


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedKafka]:
    """A Kafka of this test's own, to be killed."""
    for name in [name for name in os.environ if name.startswith(("KAFKA_", "RACKSTREAM_"))]:
        monkeypatch.delenv(name)
    with EmbeddedKafka(tmp_path) as own:
        yield own


@pytest.fixture
def settings(broker: EmbeddedKafka, tmp_path: Path) -> KafkaSettings:
    own = KafkaSettings.read(bootstrap=broker.bootstrap, partitions=2, data_dir=tmp_path)
    topics.create(own)
    topics.publish_schemas(own)
    return own


class App:
    """The application as a process, and its ledger: the numbers that it was told are safe."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
            "RACKSTREAM_DATA_DIR": str(settings.data_dir),
        }
        self._ledger, self._log = folder / "ledger", folder / "app.log"
        self._ledger.touch()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        arguments = [
            sys.executable,
            "-c",
            textwrap.dedent(APPLICATION),
            str(100_000 * len(self.runs)),
            str(self._ledger),
        ]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(arguments, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @property
    def _lines(self) -> list[tuple[int, float]]:
        lines = self._ledger.read_text().splitlines()
        return [(int(number), float(longest_s)) for number, longest_s in map(str.split, lines)]

    @property
    def runs(self) -> dict[int, int]:
        """First number of each run → the first that is not safe any more."""
        ends: dict[int, int] = {}
        for number, _ in self._lines if self._process is not None else ():
            ends[number // 100_000 * 100_000] = number
        return ends

    @property
    def longest_s(self) -> float:
        return max(longest_s for _, longest_s in self._lines)


def outage(settings: KafkaSettings, broker: EmbeddedKafka, folder: Path, monkeypatch: pytest.MonkeyPatch,
           *, bmcs: int, seconds: float, interval_s: float) -> None:  # fmt: skip
    """An application and a producer through an outage; both are killed in the midst of it."""
    monkeypatch.setenv(fleets.PASSWORD, "secret")
    look_s = max(1.0, bmcs / 50)  # each look reads all records there are
    with fleets.simulated("--count", str(bmcs), "--username", "root", "--password-env", fleets.PASSWORD) as simulator:
        addresses = {f"bmc-{bmc['number']}": bmc["url"] for bmc in simulator["bmcs"]}
        intervals = dict.fromkeys(RARELY, 3600.0)
        fleet = fleets.write(folder / "fleet.yaml", addresses, interval_s=interval_s, intervals=intervals)
        app = App(settings, folder)
        try:
            with running(part(settings, "producer", "producer", "redfish", "--fleet", str(fleet))) as supervisor:
                until(lambda: len(heard(settings)) == bmcs, every_s=2, timeout_s=120 + bmcs)
                until(lambda: app.runs)
                broker.kill()
                began_s = time.monotonic()
                time.sleep(seconds / 2)
                app.kill()
                app.start()
                supervisor.kill("producer")
                until(
                    lambda: time.monotonic() > began_s + seconds, timeout_s=seconds + 60, tend=supervisor.run_periodic
                )
                broker.start()
                until(lambda: len(app.runs) == 2)
                until(
                    lambda: len(epochs(settings)) == 2,
                    tend=supervisor.run_periodic,
                    every_s=look_s,
                    timeout_s=120 + bmcs,
                )
                app.kill()
        finally:
            app.kill()
    app.start()  # what the last run had on disk
    try:
        safe = {str(n) for first, end in app.runs.items() for n in range(first, end)}
        until(lambda: safe <= {event["message"] for event in events(settings)}, every_s=0.5, timeout_s=60 + seconds)
    finally:
        app.kill()

    ranges = series(settings)
    gaps = {key: received.gaps(from_start=True) for key, received in ranges.items()}
    lost = {key: gap for key, gap in gaps.items() if gap != (0, 0)}
    late = {key: received.late for key, received in ranges.items() if received.late}
    count = sum(len(sequences) for received in ranges.values() for sequences in received.received.values())
    twice = sum(received.twice for received in ranges.values())
    print(f"{seconds:g} s away: {count} records of {bmcs} BMCs, {len(safe)} events; {twice} sent twice; "
          f"longest call {app.longest_s:.3f} s; lost {lost}, late {late}")  # fmt: skip
    assert {} == lost
    assert {} == late
    numbers = [int(event["message"]) for event in events(settings)]
    assert sorted(numbers) == list(dict.fromkeys(numbers)), "in order, once by identity"
    assert app.longest_s < BLOCKED_S


def heard(settings: KafkaSettings) -> set[bytes]:
    """Keys, which are hosts."""
    return {message.key() for message in kafka.read_all(settings, settings.catalog["raw-redfish"].name)}


def epochs(settings: KafkaSettings) -> set[str]:
    return {record["epoch"] for record in records(settings, "raw-redfish")}


def series(settings: KafkaSettings) -> dict[tuple[str, ...], SequenceRanges]:
    ranges: dict[tuple[str, ...], SequenceRanges] = defaultdict(SequenceRanges)
    for record in records(settings, "raw-redfish"):
        ranges[record["host"], record["category"]].add(record)
    return ranges


def events(settings: KafkaSettings) -> list[dict[str, Any]]:
    """The application's, each record once by its identity."""
    by_record: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records(settings, "raw-app"):
        by_record.setdefault((record["producer"], record["epoch"], record["sequence"]), record["events"])
    return [event for items in by_record.values() for event in items]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("bmcs", "seconds"),
    [
        (200, 30),
        pytest.param(1000, 60, marks=pytest.mark.soak),
        pytest.param(1000, 600, marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
    ],
    ids="{} BMCs".format,
)
def test_an_application_and_a_producer_of_many_bmcs_lose_nothing_through_an_outage_and_a_kill(
    settings: KafkaSettings,
    broker: EmbeddedKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bmcs: int,
    seconds: int,
) -> None:
    outage(settings, broker, tmp_path, monkeypatch, bmcs=bmcs, seconds=seconds, interval_s=60)
