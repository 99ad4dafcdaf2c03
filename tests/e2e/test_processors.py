"""The mounted steps on real Kafka: each input record's facts are there, once, whatever is killed."""

import json

import pytest

from processors.drive import Partition
from processors.mounts import mounted
from rackstream.lag import lag
from runtime import kafka
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
