"""The mounted steps on real Kafka: each input record's facts are there, once, whatever is killed."""

import json

import pytest

from processors import health
from processors.drive import Partition
from processors.mounts import mounted
from rackstream.broker import EmbeddedKafka
from rackstream.lag import lag
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from schemas import codec
from schemas.catalog import schema
from schemas.testing import item, raw
from tests.e2e.parts import part, publish, records, running, until

pytestmark = pytest.mark.kafka


def libvirt(n, host):
    nics = [item("DomainNic", device="tap0", rxbytes=1000 * n, txbytes=10 * n)]
    disks = [item("DomainDisk", device="vda", rd_bytes=n)]
    fields = {"vmid": "1", "name": "one-1", "domain_id": 1, "state": 1, "cputime": n * 10**9, "memory_used_kb": 100 + n}
    vms = [item("Domain", uuid=f"{host}-{v}", nics=nics, disks=disks, **fields) for v in range(3)]
    return raw("LibvirtSample", at_s=n, host=host, category="domains", uri="test:///default", domains=vms)


def thermal(n, host, celsius):
    readings = [
        item(
            "RedfishTemperature", chassis_id="1", sensor_id="0", sensor_name="CPU", reading_celsius=celsius,
            upper_threshold_critical=100.0,
        )
    ]  # fmt: skip
    return raw("RedfishSample", at_s=n, host=host, category="thermal", temperatures=readings)


def fans(n, host, *healths):
    readings = [
        item("RedfishFan", chassis_id="1", sensor_id=str(f), sensor_name=f"Fan {f}", health=each, state="Enabled")
        for f, each in enumerate(healths)
    ]
    cool = item("RedfishTemperature", chassis_id="1", sensor_id="0", reading_celsius=20.0 + n, state="Enabled")
    return raw("RedfishSample", at_s=n, host=host, category="thermal", fans=readings, temperatures=[cool])


def supplies(n, host, *healths):
    found = [item("RedfishPowerSupply", chassis_id="1", sensor_id=str(s), health=h) for s, h in enumerate(healths)]
    return raw("RedfishSample", at_s=n, host=host, category="power", power_supplies=found)


def healths(settings, inputs):
    """Each state of health that the pure step makes of these records, as a reader would decode it, but for `as_of`."""
    partition = Partition(settings.catalog, [health.STEP])
    decode = codec.Decoder(schema("Health")).decode
    found = [output for record in inputs for output in partition.apply(record).outputs]
    return [decode(output.value) | {"as_of": []} for output in found]


def expected(settings, inputs):
    """What the pure steps make of these records, by alias and identity, as a reader would decode it."""
    partition = Partition(settings.catalog, mounted())
    facts = {}
    for alias, record in inputs:
        for output in partition.apply(record, [step for step in mounted() if step.input == alias]).outputs:
            if not output.is_memory:
                topic = settings.catalog[output.alias]
                value = codec.Decoder(schema(topic.schema)).decode(output.value)
                facts[output.alias, topic.identity_of(output.record)] = value
    return facts


def found(settings, alias):
    topic = settings.catalog[alias]
    return [((alias, topic.identity_of(record)), record) for record in records(settings, alias)]


OUTPUTS = ("vm-totals", "vm-features", "device-rates", "alerts")


def check(settings, inputs, rounds=""):
    facts = expected(settings, inputs)
    everything = [pair for alias in OUTPUTS for pair in found(settings, alias)]
    ids = [identity for identity, _ in everything]
    missing = [identity for identity in facts if identity not in set(ids)]
    invented = [identity for identity in ids if identity not in facts]
    wrong = [identity for identity, record in everything if identity in facts and facts[identity] != record]
    twice = len(ids) - len(set(ids))
    counts = f"{len(missing)} missing, {len(invented)} invented, {len(wrong)} wrong, {twice} twice"
    print(f"{rounds} {len(facts)} facts: {counts}")
    assert ([], [], [], 0) == (missing[:3], invented[:3], wrong[:3], twice)


def test_each_record_leads_to_its_facts_and_alerts_are_raised_and_cleared(kafka):
    inputs = [("raw-libvirt", libvirt(n, f"kvm-{h}")) for n in range(5) for h in range(4)]
    inputs += [("raw-redfish", thermal(n, "node-1", c)) for n, c in enumerate([50.0, 95.0, 96.0, 50.0, 50.0])]
    for alias in ("raw-libvirt", "raw-redfish"):
        publish(kafka, alias, *[record for each, record in inputs if each == alias])
    with running(part(kafka, "processor", "processor")):
        until(lambda: len(records(kafka, "alerts")) == 2 and len(records(kafka, "vm-totals")) == 20)

    check(kafka, inputs)
    assert ["raised", "cleared"] == [record["transition"] for record in records(kafka, "alerts")]


@pytest.mark.parametrize(
    "kills",
    [pytest.param(3), pytest.param(12, marks=[pytest.mark.soak, pytest.mark.timeout(0)])],
    ids="{} kills".format,
)
def test_a_worker_killed_again_and_again_loses_doubles_and_invents_nothing(kafka, kills):
    worker = part(kafka, "processor", "processor")
    inputs = []
    with running(worker) as supervisor:
        for n in range(20 * kills):
            batch = [("raw-libvirt", libvirt(n, f"kvm-{h}")) for h in range(6)]
            batch += [("raw-redfish", thermal(n, f"node-{h}", 95.0 if n // 10 % 2 else 50.0)) for h in range(2)]
            for alias in ("raw-libvirt", "raw-redfish"):
                publish(kafka, alias, *[record for each, record in batch if each == alias])
            inputs += batch
            if n % 20 == 12:
                until(lambda: worker.state == "ready" and records(kafka, "vm-totals"), tend=supervisor.tend)
                supervisor.kill("processor")
            supervisor.tend()
        group = f"{kafka.topic_prefix}processors"
        inputs_read = {step.input for step in mounted()}
        until(lambda: lag(kafka, group, inputs_read) == 0, timeout_s=120, tend=supervisor.tend)

    assert 1 + kills == worker.starts
    check(kafka, inputs, f"{kills} kills:")


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
    publish(kafka, "raw-libvirt", good)
    with running(part(kafka, "processor", "processor")):
        until(lambda: len(records(kafka, "vm-totals")) == 1)
        letters = until(lambda: len(found := records(kafka, "dead-letter")) == len(bad) and found)

    assert bad == {letter["value"]: letter["reason"] for letter in letters}
    assert {"processors"} == {letter["stage"] for letter in letters}


def kafka_publisher(settings):
    return kafka.Publisher(settings, "test")


def test_the_state_of_an_alert_is_one_record_per_host(kafka):
    publish(kafka, "raw-redfish", *[thermal(n, "node-1", 95.0) for n in range(20)])
    with running(part(kafka, "processor", "processor")):
        [state] = until(lambda: records(kafka, "state-alerts"))

    assert json.dumps(["temperature-high"]) == json.dumps([each["rule"] for each in state["active"]])


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
                until(lambda: worker.state == "ready" and records(kafka, "state-health"), tend=supervisor.tend)
                supervisor.kill("processor")
            supervisor.tend()
        final = {each["host"]: each for each in healths(kafka, inputs)}
        # The newest of a host is what a reader of the compacted topic has.
        until(lambda: newest(kafka) == final, tend=supervisor.tend)
    found = [each | {"as_of": []} for each in records(kafka, "state-health")]
    facts = healths(kafka, inputs)

    assert 4 == worker.starts
    assert [] == [each for each in found if each not in facts], "no state that there never was"
    assert [] == [each for n, each in enumerate(found) if each in found[:n]], "none twice"
    assert {"warning"} == {each["overall"] for each in final.values()}


def newest(settings):
    return {each["host"]: each | {"as_of": []} for each in records(settings, "state-health")}


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
