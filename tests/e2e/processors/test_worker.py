"""The mounted steps on real Kafka: each input record's facts are there, once, whatever is killed."""

import copy
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import fastavro
import pytest
from confluent_kafka import TopicPartition

from processors import health
from processors.alerting import rule_pack
from processors.engine.partition import Partition
from processors.registry import STEPS
from rackstream.audit.audit import Audit
from rackstream.local.broker import EmbeddedKafka
from rackstream.topics.lag import lag
from runtime import kafka, topics
from runtime.kafka import create_admin_client, watermarks
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.catalog import schema
from schemas.testing import make_raw_record as blank
from schemas.testing import make_record
from tests.e2e.support.parts import part, publish, records, running, until

pytestmark = pytest.mark.kafka
BEGAN = datetime.now(UTC)


def raw(kind, *, at_s=0, **fields):
    """A record of now, for old ones are not judged."""
    now = {"observed_at": BEGAN + timedelta(seconds=at_s), "interval_s": 3600.0}
    return blank(kind, at_s=at_s, **(now | fields))


def libvirt(n, host):
    nics = [make_record("DomainNic", device="tap0", rxbytes=1000 * n, txbytes=10 * n)]
    disks = [make_record("DomainDisk", device="vda", rd_bytes=n)]
    fields = {"vmid": "1", "name": "one-1", "domain_id": 1, "state": 1, "cputime": n * 10**9, "memory_used_kb": 100 + n}
    vms = [make_record("Domain", uuid=f"{host}-{v}", nics=nics, disks=disks, **fields) for v in range(3)]
    return raw("LibvirtSample", at_s=n, host=host, category="domains", uri="test:///default", domains=vms)


def thermal(n, host, celsius):
    readings = [
        make_record(
            "RedfishTemperature", chassis_id="1", sensor_id="0", sensor_name="CPU", reading_celsius=celsius,
            upper_threshold_critical=100.0,
        )
    ]  # fmt: skip
    return raw("RedfishSample", at_s=n, host=host, category="thermal", temperatures=readings)


def fans(n, host, *healths):
    readings = [
        make_record(
            "RedfishFan", chassis_id="1", sensor_id=str(f), sensor_name=f"Fan {f}", health=each, state="Enabled"
        )
        for f, each in enumerate(healths)
    ]
    cool = make_record("RedfishTemperature", chassis_id="1", sensor_id="0", reading_celsius=20.0 + n, state="Enabled")
    return raw("RedfishSample", at_s=n, host=host, category="thermal", fans=readings, temperatures=[cool])


def supplies(n, host, *healths):
    found = [
        make_record("RedfishPowerSupply", chassis_id="1", sensor_id=str(s), health=h) for s, h in enumerate(healths)
    ]
    return raw("RedfishSample", at_s=n, host=host, category="power", power_supplies=found)


def healths(settings, inputs):
    """Each state of health that the pure step makes of these records, as a reader would decode it, but for `as_of`."""
    partition = Partition(settings.catalog, [health.STEP])
    decode = codec.Decoder(schema("Health")).decode
    found = [output for record in inputs for output in partition.apply(record).outputs]
    return [decode(output.value) | {"as_of": []} for output in found]


def expected(settings, inputs):
    """What the pure steps make of these records, to the byte, by alias and identity."""
    partition = Partition(settings.catalog, STEPS)
    facts = {}
    for alias, record in inputs:
        for output in partition.apply(record, [step for step in STEPS if step.input == alias]).outputs:
            if not output.is_memory:
                topic = settings.catalog[output.alias]
                facts[output.alias, topic.identity_of(output.record)] = output.value
    return facts


def found(settings, alias):
    """(identity, bytes) of what is on a topic."""
    topic = settings.catalog[alias]
    decode = codec.Decoder(schema(topic.schema)).decode
    values = [message.value() for message in kafka.read_all(settings, topic.name)]
    return [((alias, topic.identity_of(decode(value))), value) for value in values]


def count(settings, alias):
    """Offsets that a topic has used: records, and marks of transactions."""
    return sum(end for _, end in watermarks(settings, settings.catalog[alias].name).values())


OUTPUTS = ("vm-totals", "vm-features", "device-rates", "host-rates", "power", "alerts")


def check(settings, inputs, rounds=""):
    facts = expected(settings, inputs)
    everything = [pair for alias in OUTPUTS for pair in found(settings, alias)]
    ids = [identity for identity, _ in everything]
    missing = [identity for identity in facts if identity not in set(ids)]
    invented = [identity for identity in ids if identity not in facts]
    wrong = [identity for identity, value in everything if identity in facts and facts[identity] != value]
    twice = len(ids) - len(set(ids))
    counts = f"{len(missing)} missing, {len(invented)} invented, {len(wrong)} wrong, {twice} twice"
    print(f"{rounds} {len(facts)} facts: {counts}")
    assert ([], [], [], 0) == (missing[:3], invented[:3], wrong[:3], twice)


def test_each_record_leads_to_its_facts_and_alerts_are_raised_and_cleared(kafka):
    inputs = [("raw-libvirt", libvirt(n, f"kvm-{h}")) for n in range(5) for h in range(4)]
    inputs += [("raw-redfish", thermal(n, "node-1", c)) for n, c in enumerate([50.0, 95.0, 96.0, 50.0, 50.0])]
    for alias in ("raw-libvirt", "raw-redfish"):
        publish(kafka, alias, *[record for each, record in inputs if each == alias])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running(part(kafka, "processor", "processor", RACKSTREAM_METRICS_PORT=str(port))):
        until(lambda: len(records(kafka, "alerts")) == 2 and len(records(kafka, "vm-totals")) == 20)
        ends = {
            f'rackstream_partition_lag_records{{partition="{number}",topic="{alias}"}} 0.0'
            for alias in ("raw-libvirt", "raw-redfish")
            for number, (_, end) in watermarks(kafka, kafka.catalog[alias].name).items()
            if end
        }
        found = until(lambda: ends <= set(shown := metrics(port)) and shown)

    assert 20.0 == value(found, 'rackstream_stepped_records_total{step="vms"}')
    assert 0 < value(found, 'rackstream_step_seconds_total{step="vms"}') < 20
    check(kafka, inputs)
    assert ["raised", "cleared"] == [record["transition"] for record in records(kafka, "alerts")]


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode().splitlines()


def value(lines, name):
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


class Load(threading.Thread):
    """Publishes polls of a few hosts, one after the other, until it is told to stop.

    Their time runs faster than the clock, from 4 min before it, so that there are minutes to settle.
    """

    EVERY_S = 2.0

    def __init__(self, settings, pace_s):
        super().__init__(daemon=True)
        self._settings, self._pace_s = settings, pace_s
        self._stopping = threading.Event()
        self._publisher = kafka.KafkaPublisher(settings, "load")
        self.inputs = []

    def run(self):
        start = datetime.now(UTC) - timedelta(minutes=4)
        for n in itertools.count():
            for alias, record in self.poll(n):
                record["observed_at"] = start + timedelta(seconds=self.EVERY_S * n)
                record["monotonic_s"] = 1000 + self.EVERY_S * n
                topic = self._settings.catalog[alias]
                value = codec.encode(schema(topic.schema), record)
                self._publisher.send(topic.name, topic.key_of(record), value, wait_s=60)
                self.inputs.append((alias, record))
            self._publisher.poll(0)
            if self._stopping.wait(self._pace_s):
                break

    def poll(self, n):
        for h in range(4):
            name = f"kvm-{h}"
            yield "raw-libvirt", libvirt(n, name)
            yield "raw-redfish", thermal(n, name, 95.0 if n // 10 % 2 else 50.0)
            control = make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=100.0 + n)
            yield "raw-redfish", raw("RedfishSample", at_s=n, host=name, category="power", power_controls=[control])
            yield "raw-host", raw("HostSample", at_s=n, host=name, category="host", swap_in=n * n)

    def finish(self):
        """Stops publishing and returns what was published."""
        self._stopping.set()
        self.join(90)
        assert not self.is_alive()
        left = self._publisher.flush(120)
        assert (0, []) == (left, self._publisher.delivery_failures[:3]), (
            "Kafka has not got all that the processors should step"
        )
        return self.inputs


@pytest.mark.parametrize(
    ("rounds", "outage_s", "pace_s"),
    [
        pytest.param(2, 3, 0.4, marks=pytest.mark.timeout(600)),
        pytest.param(10, 30, 1.5, marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
    ],
    ids=["two rounds", "ten rounds"],
)
def test_workers_killed_added_and_removed_and_kafka_away_lose_double_and_invent_nothing(
    tmp_path, rounds, outage_s, pace_s
):
    with EmbeddedKafka(tmp_path) as broker:
        settings = KafkaSettings.read(
            bootstrap=broker.bootstrap, topic_prefix="rounds.", partitions=4, data_dir=tmp_path / "data"
        )
        topics.create(settings)
        topics.publish_schemas(settings)
        one, two, three = [part(settings, f"processor-{n}", "processor") for n in (1, 2, 3)]
        load = Load(settings, pace_s)
        with running(one, two) as supervisor:
            load.start()
            for number in range(rounds):
                done = count(settings, "vm-totals")
                until(lambda: count(settings, "vm-totals") > done, tend=supervisor.run_periodic)  # noqa: B023
                victim = (one, two)[number % 2]
                starts, victim.failures = victim.starts, 0  # its back-off begins anew
                supervisor.kill(victim.name)
                supervisor.start(three)
                broker.stop()
                until_passed(outage_s, supervisor.run_periodic)
                broker.start()
                until(lambda: victim.starts > starts and victim.state == "ready", tend=supervisor.run_periodic)  # noqa: B023
                supervisor.stop([three.name])
            inputs = load.finish()
            until(
                lambda: lag(settings, f"{settings.topic_prefix}processors", {each for each, _ in inputs}) == 0,
                timeout_s=120,
                tend=supervisor.run_periodic,
            )
        check(settings, inputs, f"{rounds} rounds with {outage_s} s without Kafka, {len(inputs)} records:")
        audit = Audit(settings, files=tmp_path / "none").run()
        estimates = len(found(settings, "vm-power"))
        print(f"{estimates} minutes estimated; audit {audit.audit}")
        assert (0, 0, 0, 0, 0) == (
            audit.audit.lost, audit.audit.twice, audit.audit.wrong, audit.audit.invented, audit.audit.republished
        ), audit.examples  # fmt: skip
        assert estimates > 0


def until_passed(seconds, tend):
    """The outage is what is tested: it lasts as long as it says."""
    ends = time.monotonic() + seconds
    until(lambda: time.monotonic() > ends, timeout_s=seconds + 10, tend=tend)


def test_garbage_goes_to_the_dead_letter_and_nothing_stalls(kafka):
    good = libvirt(0, "kvm-1")
    whole = codec.encode(schema("LibvirtSample"), good)
    foreign = codec.encode(schema("HostSample"), raw("HostSample", category="host"))
    bad = {
        b"random bytes": "not-framed",
        whole[:-7]: "truncated",
        whole + b"more": "truncated",
        foreign: "foreign-schema",
        b"\0\x01\x02\x03\x04rest": "unknown-schema",
    }
    publisher = kafka_publisher(kafka)
    for value in bad:
        publisher.send(kafka.catalog["raw-libvirt"].name, b"kvm-1", value)
    assert publisher.flush(10) == 0
    # Larger than what is fetched at a time, and not to be compressed much.
    large = libvirt(1, "kvm-1") | {"labels": {"notes": random.Random(1).randbytes(1_500_000).hex()}}
    publish(kafka, "raw-libvirt", good, large)
    with running(part(kafka, "processor", "processor")):
        until(lambda: len(records(kafka, "vm-totals")) == 2)
        letters = until(lambda: len(found := records(kafka, "dead-letter")) == len(bad) and found)

    assert bad == {letter["value"]: letter["reason"] for letter in letters}
    assert {"processors"} == {letter["stage"] for letter in letters}


def test_records_that_retention_took_before_they_were_read_are_a_letter_and_reading_goes_on(kafka):
    name = kafka.catalog["raw-libvirt"].name
    publish(kafka, "raw-libvirt", libvirt(0, "kvm-1"))
    with running(part(kafka, "processor", "processor")):
        until(lambda: lag(kafka, f"{kafka.topic_prefix}processors", ["raw-libvirt"]) == 0)
    [number] = [number for number, (_, end) in watermarks(kafka, name).items() if end]
    publish(kafka, "raw-libvirt", *[libvirt(n, "kvm-1") for n in range(1, 5)])
    client = create_admin_client(kafka)  # kept until the result is there: its end would cancel it
    client.delete_records([TopicPartition(name, number, 4)])[TopicPartition(name, number)].result(10)
    with running(part(kafka, "processor", "processor")):
        until(lambda: len(records(kafka, "vm-totals")) == 2)
        [letter] = until(lambda: records(kafka, "dead-letter"))

    assert ("processors", "retention", 1, None) == tuple(letter[k] for k in ("stage", "reason", "offset", "value"))
    assert letter["detail"].startswith("offsets 1 to 3 ")


def kafka_publisher(settings):
    return kafka.KafkaPublisher(settings, "test")


def test_the_state_of_an_alert_is_one_record_per_host(kafka):
    publish(kafka, "raw-redfish", *[thermal(n, "node-1", 95.0) for n in range(20)])
    with running(part(kafka, "processor", "processor")):
        [state] = until(lambda: records(kafka, "state-alerts"))

    assert json.dumps(["temperature-high"]) == json.dumps([each["rule"] for each in state["active"]])


def older_alert_state():
    """An older version of AlertState: one record per host, without sources and with fewer fields per alert."""
    definition = copy.deepcopy(schema("AlertState").definition)
    definition["fields"] = [
        field for field in definition["fields"] if field["name"] not in ("source", "known", "written_at")
    ]
    active = next(field for field in definition["fields"] if field["name"] == "active")["type"]["items"]
    active["fields"] = [field for field in active["fields"] if field["name"] not in ("word", "told_at", "labels")]
    return catalog.Schema(
        "AlertState", catalog.fingerprint_id(definition), definition, fastavro.parse_schema(definition)
    )


def test_a_memory_of_the_version_before_is_taken_over_and_nothing_is_raised_again(kafka):
    hot = {
        "id": "0123456789abcdef", "revision": 0, "topic": "raw-redfish", "category": "thermal", "component": "1/0",
        "rule": "temperature-high", "severity": "warning", "value": 95.0, "threshold": 90.0, "text": "High temperature",
        "started_at": BEGAN, "unseen": 0, "clear_count": 0,
    }  # fmt: skip
    as_of = {"topic": "raw-redfish", "category": "thermal", "epoch": "0-a", "sequence": 0}
    older = older_alert_state()
    old = codec.encode(older, {"host": "node-1", "as_of": [as_of], "active": [hot], "pending": []})
    publisher = kafka_publisher(kafka)
    document = {"id": older.id, "subject": older.name, "schema": older.definition}
    publisher.send(kafka.catalog["schemas"].name, str(older.id).encode(), json.dumps(document).encode())
    publisher.send(kafka.catalog["state-alerts"].name, b"node-1", old)
    assert publisher.flush(10) == 0
    publish(kafka, "raw-redfish", *[thermal(n, "node-1", c) for n, c in enumerate([95.0, 96.0, 50.0, 50.0])])
    with running(part(kafka, "processor", "processor")):
        [told] = until(lambda: records(kafka, "alerts"))
        until(lambda: lag(kafka, f"{kafka.topic_prefix}processors", ["raw-redfish"]) == 0)
        publish(kafka, "raw-redfish", thermal(4, "node-1", 95.0))
        until(lambda: len(records(kafka, "alerts")) == 2)
    with running(part(kafka, "processor", "processor")):  # the old record is still there, beside the new
        publish(
            kafka, "raw-redfish", thermal(5, "node-1", 96.0), thermal(6, "node-1", 50.0), thermal(7, "node-1", 50.0)
        )
        found = until(lambda: len(found := records(kafka, "alerts")) == 3 and found)

    assert ("0123456789abcdef", "cleared", "recovered", 1) == tuple(
        told[name] for name in ("id", "transition", "cause", "revision")
    )
    assert ["cleared", "raised", "cleared"] == [each["transition"] for each in found]


def test_a_record_that_comes_late_after_a_restart_raises_nothing(kafka):
    """State is written on change only, so it does not tell of all records that were judged."""
    in_time = {n: thermal(n, "node-1", c) for n, c in enumerate([95.0, 50.0, 50.0, 50.0, 99.0, 50.0])}
    late = in_time.pop(4)
    for batch in (list(in_time.values()), [late, thermal(6, "node-1", 50.0)]):
        publish(kafka, "raw-redfish", *batch)
        with running(part(kafka, "processor", "processor")):
            until(lambda: lag(kafka, f"{kafka.topic_prefix}processors", ["raw-redfish"]) == 0)

    assert ["raised", "cleared"] == [record["transition"] for record in records(kafka, "alerts")]
    counts = Audit(kafka).run().audit
    assert (0, 0, 0) == (counts.lost, counts.wrong, counts.invented)


def test_health_is_written_on_change_and_not_at_every_poll(kafka):
    polls = [(fans, "OK"), (fans, "OK"), (supplies, "OK"), (fans, "Critical"), (fans, "Critical"), (fans, "OK")]
    inputs = []
    with running(part(kafka, "processor", "processor")):
        for n, (kind, status) in enumerate(polls):
            inputs.append(kind(n, "node-1", status))
            publish(kafka, "raw-redfish", inputs[-1])
            wanted = healths(kafka, inputs)
            found = until(lambda: len(each := records(kafka, "state-health")) == len(wanted) and each)  # noqa: B023

    assert wanted == [each | {"as_of": []} for each in found]
    assert ["ok", "ok", "warning", "ok"] == [each["overall"] for each in found]
    assert ["unknown", "ok", "ok", "ok"] == [each["power"]["status"] for each in found]


def test_health_survives_the_killing_of_its_worker(kafka):
    worker = part(kafka, "processor", "processor")
    inputs = []
    with running(worker) as supervisor:
        for n in range(40):
            batch = [fans(n, f"node-{h}", "OK", "Critical" if n // 5 % 2 else "OK") for h in range(3)]
            batch += [supplies(n, f"node-{h}", "Warning" if n > 30 else "OK") for h in range(3)]
            publish(kafka, "raw-redfish", *batch)
            inputs += batch
            if n in (7, 17, 33):
                again = 1 + (7, 17, 33).index(n)
                until(lambda: worker.starts == again and worker.state == "ready", tend=supervisor.run_periodic)  # noqa: B023
                until(lambda: records(kafka, "state-health"), tend=supervisor.run_periodic)
                supervisor.kill("processor")
            supervisor.run_periodic()
        final = {each["host"]: each for each in healths(kafka, inputs)}
        # The newest of a host is what a reader of the compacted topic has.
        until(lambda: newest(kafka) == final, tend=supervisor.run_periodic)
    found = [record | {"as_of": []} for record in records(kafka, "state-health")]
    facts = healths(kafka, inputs)

    assert 4 == worker.starts
    assert [] == [each for each in found if each not in facts], "no state that there never was"
    assert [] == [each for n, each in enumerate(found) if each in found[:n]], "none twice"
    assert {"warning"} == {each["overall"] for each in final.values()}


def newest(settings):
    return {record["host"]: record | {"as_of": []} for record in records(settings, "state-health")}


def test_a_worker_told_to_stop_while_kafka_is_away_ends(tmp_path):
    """Faust waits for the broker without end; nobody may be left behind."""
    with EmbeddedKafka(tmp_path) as broker:
        settings = KafkaSettings.read(
            bootstrap=broker.bootstrap, topic_prefix="away.", partitions=1, data_dir=tmp_path / "data"
        )
        topics.create(settings)
        with running(part(settings, "processor", "processor")) as supervisor:
            process = supervisor.parts["processor"].process
            broker.kill()
            process.terminate()

            assert process.wait(60) is not None


def test_a_pack_that_is_applied_judges_from_its_time_on_and_is_told_apart(kafka, tmp_path):
    """Applied while a worker runs; then the audit and a tryout find what the worker did."""
    mild = tmp_path / "mild.toml"
    mild.write_text(
        rule_pack.BUILTIN_PATH.read_text().replace(
            "ratio = 0.9, otherwise = 75.0", "ratio = 0.5, otherwise = 75.0").replace("ratio = 0.85", "ratio = 0.4")
    )  # fmt: skip
    environment = part(kafka, "rules", "rules").environment
    with running(part(kafka, "processor", "processor")):
        publish(kafka, "raw-redfish", warm(0))
        until(lambda: records(kafka, "state-health"))
        applied = rackstream(environment, "rules", "apply", str(mild), "--json")
        effective = datetime.fromisoformat(applied["effective_from"])
        numbers = itertools.count(1)

        def judged():
            publish(kafka, "raw-redfish", warm(next(numbers)))
            return records(kafka, "alerts")

        [alert] = until(judged, every_s=0.5)
    tried = rackstream(environment, "rules", "test", str(rule_pack.BUILTIN_PATH), "--from", "-1h", "--json")
    listed = rackstream(environment, "rules", "list", "--json")

    assert (applied["pack"], "raised") == (alert["pack"], alert["transition"])
    assert effective <= alert["observed_at"]
    assert applied["pack"] == listed["active"]
    assert ["temperature-high"] == [each["rule"] for each in tried["only_current"]], "the built-in one had not"
    assert [] == tried["only_candidate"] + tried["failures"]
    live = rackstream(
        environment, "rules", "test", str(rule_pack.BUILTIN_PATH), "--live", "--duration", "0.5", "--json"
    )
    assert ["temperature-high"] == [each["rule"] for each in live["only_current"]], "active when it began"
    assert [alert["id"]] == [record["id"] for record in records(kafka, "alerts")], "a tryout writes nothing"
    counts = Audit(kafka).run().audit
    assert (0, 0, 0) == (counts.lost, counts.wrong, counts.invented), "recounted by the rules of then"


def warm(n):
    return thermal(n, "node-1", 60.0) | {"observed_at": datetime.now(UTC)}


def rackstream(environment, *arguments):
    command = [sys.executable, "-m", "rackstream", *arguments]
    done = subprocess.run(command, env=os.environ | dict(environment), capture_output=True, text=True, timeout=120)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_a_producer_that_falls_silent_is_one_alert_and_is_heard_again_after_a_restart_of_the_worker(kafka):
    """The clock is what Kafka appended: intervals of a second make silence quick."""
    sequence = itertools.count()

    def beat(name):
        publish(
            kafka, "heartbeats",
            make_record("Heartbeat", producer=name, epoch="0-a", sequence=next(sequence), observed_at=datetime.now(UTC),
                 interval_s=1.0, source="redfish", targets=10_000),
        )  # fmt: skip
        return [(record["transition"], record["host"]) for record in records(kafka, "alerts")]

    worker = part(kafka, "processor", "processor")
    with running(worker) as supervisor:
        beat("p1")
        until(lambda: beat("p2"), every_s=0.3)
        assert [("raised", "p1")] == beat("p2")
        supervisor.kill("processor")
        until(
            lambda: len(beat("p2")) and worker.state == "ready" and worker.starts == 2,
            tend=supervisor.run_periodic,
            every_s=0.3,
        )
        beat("p1")
        found = until(lambda: len(found := beat("p2")) > 1 and found, every_s=0.3)

    assert [("raised", "p1"), ("cleared", "p1")] == found
    assert 1 == len({record["id"] for record in records(kafka, "alerts")})
    counts = Audit(kafka).run().audit
    assert (0, 0, 0) == (counts.lost, counts.wrong, counts.invented), "it replays the same"
