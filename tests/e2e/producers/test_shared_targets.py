"""Producers that share their targets, as they come and go: nothing is polled twice, nothing forgotten."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from click.testing import CliRunner

from processors import hosts
from processors.engine.partition import Partition
from producers.fleet.targets import HostTarget
from producers.host import reader as host
from producers.polling.schedule import slot_s
from producers.publishing.publisher import RecordPublisher
from producers.redfish.reader import CATEGORIES
from producers.shared_targets import admin
from rackstream.audit.counters import SequenceRanges
from rackstream.cli import cli
from rackstream.local.broker import EmbeddedKafka
from rackstream.simulators.bmc import SimulatedBmc
from rackstream.simulators.http import HttpRequest, SimulatedResponse
from rackstream.simulators.redfish import RedfishSimulator
from runtime import compacted_topic, topics
from runtime.settings import KafkaSettings
from tests.e2e.support.fleets import PASSWORD
from tests.e2e.support.parts import part, publish, records, running, until

pytestmark = pytest.mark.kafka
OFTEN = "thermal"
PAUSE_S = 15.0
WITHIN_S = 10.0
"""After a change every target has to be polled at its cadence again."""


@dataclass
class Watched(RedfishSimulator):
    """Simulated BMCs that note when they are asked for their temperatures."""

    asked: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def respond(self, bmc: SimulatedBmc, request: HttpRequest) -> SimulatedResponse:
        if request.method == "GET" and request.path.rstrip("/").endswith("/Thermal"):
            self.asked[bmc.number].append(time.time())
        return super().respond(bmc, request)


@dataclass(frozen=True)
class Trust:
    """A certificate of the simulated BMCs, and the policy of a machine that trusts it and has passwords for them."""

    directory: Path

    @classmethod
    def create(cls, directory: Path) -> Trust:
        directory.mkdir()
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(directory / "ca.pem")
        certificate.private_key_and_cert_chain_pem.write_to_path(directory / "bmc.pem")
        return cls(directory)

    @property
    def verify(self) -> str:
        return str(self.directory / "ca.pem")

    @property
    def certificate(self) -> Path:
        return self.directory / "bmc.pem"

    @property
    def policy(self) -> dict[str, str]:
        return {
            "RACKSTREAM_SHARED_CREDENTIAL_HOSTS": "127.0.0.1",
            "RACKSTREAM_SHARED_SECRETS_PREFIX": PASSWORD,
            "RACKSTREAM_SHARED_SECRETS_DIR": str(self.directory),
        }


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust.create(tmp_path / "secrets")


def write(path: Path, urls: list[str], interval_s: float, verify: str) -> Path:
    """A fleet file in which one category is polled often."""
    intervals = dict.fromkeys(CATEGORIES, 3600) | {OFTEN: interval_s}
    section = {
        "interval": interval_s, "username": "root", "password": f"env:{PASSWORD}", "intervals": intervals,
        "verify": verify,
        "targets": [{"host": f"bmc-{number}", "address": url} for number, url in enumerate(urls)],
    }  # fmt: skip
    path.write_text(yaml.safe_dump({"redfish": section}))
    return path


def put(kafka: KafkaSettings, fleet: Path) -> admin.TargetPlan:
    from producers.fleet import importers

    changes = admin.plan_changes(admin.read_targets(kafka), admin.shareable_records(importers.load(fleet, {})))
    admin.publish_plan(kafka, changes)
    return changes


def statuses(kafka: KafkaSettings) -> dict[str, dict[str, Any]]:
    return {each["host"]: each for each in compacted_topic.read_latest(kafka, "state-targets").values()}


def polled_by(kafka: KafkaSettings) -> Counter[str]:
    """Producer → how many targets it says are up."""
    return Counter(status["producer"] for status in statuses(kafka).values() if status["status"] == "up")


@pytest.fixture
def wide(broker: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Topics of this test's own, with two partitions for each of three producers."""
    for name in [name for name in os.environ if name.startswith(("KAFKA_", "RACKSTREAM_"))]:
        monkeypatch.delenv(name)
    found = KafkaSettings.read(
        bootstrap=broker.bootstrap,
        topic_prefix=f"{tmp_path.name.replace('_', '-')}.",
        partitions=6,
        data_dir=tmp_path / "data",
    )
    topics.create(found)
    topics.publish_schemas(found)
    return found


@dataclass(frozen=True)
class Run:
    """One run: what happens to which producer, one after the other."""

    bmcs: int
    interval_s: float
    steps: tuple[tuple[str, str], ...]
    watch_s: float = 5.0
    """After WITHIN_S, this long."""


PAUSED = Run(20, 3, (("pause", "b"),), watch_s=6)
SHORT = Run(200, 5, (("start", "c"), ("stop", "c"), ("kill", "b")))
FULL = Run(1000, 20, (("start", "c"), ("kill", "c"), ("start", "c"), ("stop", "c")), watch_s=40)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(SHORT, id="200 BMCs at 5 s"),
        pytest.param(PAUSED, id="one is frozen, and wakes when its targets are others'"),
        pytest.param(FULL, id="1,000 BMCs at 20 s", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_targets_keep_their_cadence_while_producers_come_and_go(
    wide: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, trust: Trust
) -> None:
    monkeypatch.setenv(PASSWORD, "sécret")
    with Watched(run.bmcs, username="root", password="sécret", cert=trust.certificate) as simulator:
        put(wide, write(tmp_path / "fleet.yaml", simulator.urls, run.interval_s, trust.verify))
        environment = {"RACKSTREAM_LOG_LEVEL": "info", **trust.policy}
        parts = {
            name: part(wide, name, "producer", "redfish", "--shared", "--name", name, **environment) for name in "abc"
        }
        changes: list[tuple[str, float]] = []
        with running(parts["a"], parts["b"]) as supervisor:
            began_s = time.time()

            def wait(seconds: float) -> None:
                threading.Event().wait(seconds)

            until(lambda: polled_by(wide).total() == run.bmcs, timeout_s=120, every_s=0.5)
            wait(run.interval_s)
            print(f"all {run.bmcs} up after {time.time() - began_s:.1f} s: {dict(polled_by(wide))}")
            changes.append(("steady", time.time() - WITHIN_S))
            wait(run.watch_s)
            for what, name in run.steps:
                changes.append((f"{what} {name}", time.time()))
                if what == "pause":
                    os.kill(parts[name].pid, signal.SIGSTOP)
                    wait(PAUSE_S)
                    changes.append((f"wake {name}", time.time()))
                    os.kill(parts[name].pid, signal.SIGCONT)
                elif what == "start":
                    supervisor.start(parts[name])
                elif what == "kill":
                    supervisor.kill(name)
                    parts[name].process.wait()
                else:
                    supervisor.stop([name])
                    print(f"{name} stopped in {time.time() - changes[-1][1]:.1f} s")
                wait(max(0.0, changes[-1][1] + WITHIN_S + run.watch_s - time.time()))
                print(f"after {what} {name}: {dict(polled_by(wide))}")
            changes.append(("end", time.time()))
        asked = {number: list(times) for number, times in simulator.asked.items()}
        sessions = [bmc.sessions for bmc in simulator.bmcs]
    twice, missed, longest = judged(asked, run, changes)
    print(f"longest gaps: {longest}")
    assert ({}, {}) == (twice, missed)
    assert {} == amiss(wide)
    assert [] == [
        number for number, session in enumerate(sessions) if session.max_open > 1 or session.opened != session.closed
    ]


def judged(asked: dict[int, list[float]], run: Run, changes: list[tuple[str, float]]) -> Any:
    """Polls too many in one cadence, and too few from WITHIN_S after each change on; the longest gaps there were."""
    twice, missed, longest = {}, {}, {}
    for number in range(run.bmcs):
        slot = slot_s(f"bmc-{number}:{OFTEN}", run.interval_s, 0)
        times = [each for each in asked.get(number, []) if each > changes[0][1] + WITHIN_S]
        cadences = Counter(math.floor((each - slot) / run.interval_s) for each in times)
        if max(cadences.values(), default=0) > 1:
            twice[number] = [each for each in times if cadences[math.floor((each - slot) / run.interval_s)] > 1]
        for (what, at_s), (_, next_s) in itertools.pairwise(changes):
            inside = [at_s + WITHIN_S, *(each for each in times if at_s + WITHIN_S < each < next_s), next_s]
            gap = max(after - before for before, after in itertools.pairwise(inside))
            if gap > 1.5 * run.interval_s:
                missed[number, what] = gap
            around = [each for each in times if at_s - run.interval_s < each < next_s]
            gap = max((after - before for before, after in itertools.pairwise(around)), default=0.0)
            longest[what] = round(max(longest.get(what, 0.0), gap), 1)
    return twice, missed, longest


def amiss(kafka: KafkaSettings) -> dict[tuple[str, str], Any]:
    """Of each host and category of which a record is lost without a word, twice, or late."""
    found: dict[tuple[str, str], SequenceRanges] = defaultdict(SequenceRanges)
    for record in records(kafka, "raw-redfish"):
        found[record["host"], record["category"]].add(record)
    counts = {key: (each.gaps(from_start=True)[0], each.twice, each.late) for key, each in found.items()}
    return {key: each for key, each in counts.items() if any(each)}


def test_a_target_that_moves_to_another_and_back_is_never_late(kafka: KafkaSettings, tmp_path: Path) -> None:
    """Each assignment begins an epoch that retires the one before, whoever's it was and whatever the clocks say."""
    reader = host.create_reader(HostTarget(host="h"), 1.0)
    opened = {
        name: RecordPublisher.open(kafka.model_copy(update={"data_dir": tmp_path / name}), name) for name in ("a", "b")
    }
    epochs = [""]
    for name in "abaab":
        opened[name].start_epoch(["h"], after=epochs[-1])
        epochs.append(opened[name].epoch_of("h"))
        for _ in range(2):
            opened[name].publish("raw-host", reader, "host", reader.read("host", 5), began_s=time.monotonic())
        until(lambda name=name: not opened[name].queued, tend=opened[name].poll, every_s=0.01)
        opened[name].release(["h"])
        opened[name].publish("raw-host", reader, "host", reader.read("host", 5), began_s=time.monotonic())
    for each in opened.values():
        each.close(10)
    found, partition = records(kafka, "raw-host"), Partition(kafka.catalog, [hosts.STEP])
    series = SequenceRanges()
    for record in found:
        series.add(record)

    assert sorted(set(epochs)) == epochs
    assert [(epoch, n) for epoch in epochs[1:] for n in range(2)] == [
        (each["epoch"], each["sequence"]) for each in found
    ]
    assert 0 == sum(partition.apply(record).late for record in found)
    assert (0, 0, 0) == (series.gaps(from_start=True)[0], series.twice, series.late)


def run(*arguments: str) -> tuple[int, str]:
    """A command at the terminal, and its code."""
    done = CliRunner().invoke(cli, [*arguments])
    failed = done.exception is not None and not isinstance(done.exception, SystemExit)
    return (2, f"{done.output}{done.exception}") if failed else (done.exit_code, done.output)


def test_targets_are_put_on_kafka_and_taken_from_there_by_command(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("RACKSTREAM_TOPIC_PREFIX", kafka.topic_prefix)
    monkeypatch.setenv("RACKSTREAM_DATA_DIR", str(kafka.data_dir))
    add = ("targets", "add", "redfish", "kvm-1", "https://10.0.0.1", "--username", "monitor")
    assert "1 added" in run(*add, "--password", "env:P", "--label", "rack=r1")[1]
    assert (0, "1 unchanged\n") == run(*add, "--password", "env:P", "--label", "rack=r1")
    code, said = run(*add, "--password", "hunter2")
    assert (2, True, False) == (code, "give secrets by reference: env:NAME or file:PATH" in said, "hunter2" in said)
    assert "polled twice" in run("targets", "add", "redfish", "other", "https://10.0.0.1")[1]

    table = tmp_path / "fleet.csv"
    table.write_text("host,address\nkvm-2,https://10.0.0.2\nkvm-3,https://10.0.0.3\n")
    plan = run("targets", "import", str(table), "--prune", "--dry-run")[1]
    assert ["+ redfish  kvm-2", "+ redfish  kvm-3", "- redfish  kvm-1"] == [
        line[:16] for line in plan.splitlines() if line[0] in "+-"
    ]
    assert "1 added" not in run("targets", "list")[1] and "kvm-2" not in run("targets", "list")[1]  # noqa: PT018
    assert {"added": ["kvm-2", "kvm-3"], "changed": [], "removed": ["kvm-1"], "unchanged": 0, "dry_run": False} == (
        json.loads(run("targets", "import", str(table), "--prune", "--json")[1])
    )
    assert (0, "1 removed\n") == run("targets", "remove", "redfish", "kvm-3")
    assert "did you mean kvm-3" in run("targets", "remove", "redfish", "kvm-4")[1]
    assert ["kvm-2"] == [json.loads(line)["host"] for line in run("targets", "list", "--json")[1].splitlines()]
    assert "cannot be shared" in run("producer", "host", "--shared")[1]
    assert "targets import" in run("producer", "redfish", "--shared", "--fleet", str(table))[1]


def test_a_target_that_is_added_changed_and_removed_is_followed_and_one_without_a_secret_says_so(
    kafka: KafkaSettings, trust: Trust
) -> None:
    password = trust.directory / "password"
    login = {"username": "root", "password": f"file:{password}", "verify": trust.verify}
    with RedfishSimulator(2, username="root", password="sécret", cert=trust.certificate) as simulator:
        entries = [
            {"host": f"bmc-{number}", "address": url, "interval": 1, **login}
            for number, url in enumerate(simulator.urls)
        ]
        first, second = (admin.record_from_entry("redfish", entry) for entry in entries)
        with running(part(kafka, "producer", "producer", "redfish", "--shared", **trust.policy)):
            until(lambda: records(kafka, "heartbeats"))
            write_all(kafka, first)
            told = until(lambda: has(kafka, "bmc-0", "auth_failed"))["detail"]
            password.write_text("sécret")
            since = until(lambda: has(kafka, "bmc-0", "up"))["since"]
            write_all(kafka, second, first | {"labels": {"rack": "r1"}})
            until(lambda: has(kafka, "bmc-1", "up"))
            changed = until(lambda: (found := statuses(kafka)["bmc-0"])["labels"] and found)
            write_all(kafka, second | {"removed": True})
            gone = until(lambda: (found := statuses(kafka)["bmc-1"])["removed"] and found)
            beat = records(kafka, "heartbeats")[-1]
        ended = statuses(kafka)["bmc-0"]
        sessions = [bmc.sessions for bmc in simulator.bmcs]

    assert "password" in told
    assert ({"rack": "r1"}, since) == (changed["labels"], changed["since"])
    assert (None, "stopped") == (gone["session_uri"], gone["status"])
    assert "removed" in {record["category"] for record in records(kafka, "raw-redfish") if record["host"] == "bmc-1"}
    assert beat["shared"]
    assert ("stopped", None) == (ended["status"], ended["session_uri"]), "nobody is there to take over"
    assert {0} == {session.opened - session.closed for session in sessions}
    assert {} == amiss(kafka)


@dataclass
class Thief(RedfishSimulator):
    """Addresses that record what they are sent."""

    received: list[str] = field(default_factory=list)

    def respond(self, bmc: SimulatedBmc, request: HttpRequest) -> SimulatedResponse:
        self.received.append(f"{request.method} {request.path} {dict(request.headers)} {request.body!r}")
        return super().respond(bmc, request)


def test_no_record_of_the_topic_takes_a_secret_away_or_stops_the_producer(
    kafka: KafkaSettings, tmp_path: Path, trust: Trust
) -> None:
    """The attacker may write the topic; the first BMC is ours, all others are the attacker's."""
    canary = "c4n4ry"
    outside, blob = tmp_path / "outside", trust.directory / "blob"
    outside.write_text(canary)
    blob.write_bytes(b"\xff\xfe")
    (trust.directory / "password").write_text("sécret")
    login = {"username": "root", "password": f"file:{trust.directory}/password", "verify": trust.verify}
    environment = {**trust.policy, "INFLUX_TOKEN": canary, f"{PASSWORD}_2": canary}
    with (
        RedfishSimulator(1, username="root", password="sécret", cert=trust.certificate) as ours,
        Thief(1) as plain,
        Thief(1, cert=trust.certificate) as encrypted,
    ):
        good = admin.record_from_entry("redfish", {"host": "good", "address": ours.urls[0], "interval": 1, **login})
        [https], [http] = encrypted.urls, plain.urls
        hostile: dict[str, dict[str, Any]] = {
            "file": {"address": https, "password": f"file:{outside}"},
            "climb": {"address": https, "password": f"file:{trust.directory}/../outside"},
            "env": {"address": https, "password": "env:INFLUX_TOKEN"},
            "http": {"address": http, "password": f"env:{PASSWORD}_2"},
            "unverified": {"address": https, "password": f"env:{PASSWORD}_2", "verify": "false"},
            "named": {"address": https.replace("127.0.0.1", "localhost"), "password": f"env:{PASSWORD}_2"},
            "own-ca": {"address": https, "password": f"env:{PASSWORD}_2", "verify": str(outside)},
            "binary": {"address": https, "password": f"file:{blob}"},
            "endless": {"address": https, "password": "file:/dev/zero"},
            "bracket": {"address": "https://[x"},
            "port": {"address": "https://bmc:99999"},
            "fast": {"interval_s": 1e-300, "address": http},
        }
        with running(part(kafka, "producer", "producer", "redfish", "--shared", **environment)):
            publish(kafka, "targets", *({**good, "host": host, **fields} for host, fields in hostile.items()), good)
            until(lambda: has(kafka, "good", "up"))
            until(lambda: all(has_failed(kafka, host) for host in hostile))
            details = {host: statuses(kafka)[host]["detail"] for host in hostile}
            later = admin.record_from_entry(
                "redfish", {"host": "later", "address": ours.urls[0], "interval": 1, **login}
            )
            publish(kafka, "targets", later)
            until(lambda: has(kafka, "later", "up"))
        received = plain.received + encrypted.received

    print(json.dumps(details, indent=1))
    assert [] == [request for request in received if "uthorization" in request or "assword" in request]
    assert [] == received
    assert "RACKSTREAM_SHARED_SECRETS_DIR" in details["file"]
    assert "RACKSTREAM_SHARED_CREDENTIAL_HOSTS" in details["named"]
    assert "needs https" in details["http"]
    assert "refused" in details["port"]
    assert "UTF-8" in details["binary"]


def test_no_libvirt_uri_of_the_topic_runs_a_program(kafka: KafkaSettings, tmp_path: Path) -> None:
    pytest.importorskip("libvirt")
    program, trace = tmp_path / "program", tmp_path / "trace"
    program.write_text(f"#!/bin/sh\necho $0 >> {trace}\n")
    program.chmod(0o755)
    hostile = {
        "command": f"qemu+ssh://h/system?command={program}",
        "encoded": f"qemu+ssh://h/system?no_tty=1;%63ommand={program}",
        "ext": f"qemu+ext:///system?command={program}",
        "netcat": f"qemu+ssh://127.0.0.1/system?netcat={program}",
        "keyfile": f"qemu+ssh://127.0.0.1/system?keyfile={tmp_path}/key",
        "node": f"test://{tmp_path}/node.xml",
    }
    good = admin.record_from_entry("libvirt", {"host": "good", "uri": "test:///default"})
    with running(part(kafka, "producer", "producer", "libvirt", "--shared")):
        publish(kafka, "targets", *({**good, "host": host, "address": uri} for host, uri in hostile.items()), good)
        until(lambda: has(kafka, "good", "up"))
        until(lambda: all(has(kafka, host, "unreachable") for host in hostile))
        details = [statuses(kafka)[host]["detail"] for host in hostile]

    assert not trace.exists()
    assert [] == [detail for detail in details if not detail.startswith("refused: uri: ")]


def has_failed(kafka: KafkaSettings, host: str) -> bool:
    found = statuses(kafka).get(host)
    return found is not None and found["status"] in {"auth_failed", "unreachable"}


def write_all(kafka: KafkaSettings, *wanted: dict[str, Any]) -> None:
    admin.publish_plan(kafka, admin.TargetPlan(added=wanted))


def has(kafka: KafkaSettings, name: str, status: str) -> dict[str, Any] | None:
    found = statuses(kafka).get(name)
    return found if found is not None and found["status"] == status else None
