"""Absurd values, names and sizes: no step stops on them, and nothing they lead to is nonsense."""

import math
from datetime import timedelta

import pytest

from processors import health, hosts, power, vm_power, vms
from processors.engine.join import JoinPartition
from processors.engine.partition import MAX_RECORD_BYTES, Partition
from processors.engine.step import Step
from processors.registry import STEPS
from schemas import catalog, codec
from schemas.testing import START_TIME, make_raw_record, make_record

ODD = [math.nan, math.inf, -math.inf, 1e308, -1e308, -1.0, 5e-324, 0.0]
MB10 = "x" * 10_000_000


def applied(step, *records):
    """What the records lead to: outputs decoded, failures."""
    partition = Partition(catalog.load(), [step])
    found = [partition.apply(record) for record in records]
    outputs = [output for each in found for output in each.outputs]
    decoded = [codec.Decoder(catalog.schema(catalog.load()[o.alias].schema)).decode(o.value) for o in outputs]
    return decoded, [error for each in found for _, error in each.failures]


def numbers(record):
    """Every number in a record."""
    if isinstance(record, dict):
        record = list(record.values())
    if isinstance(record, list):
        return [number for each in record for number in numbers(each)]
    return [record] if isinstance(record, float) else []


@pytest.mark.parametrize("odd", ODD)
def test_odd_watts_make_no_odd_analysis(odd):
    control = make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=odd, power_available_watts=odd)
    supply = make_record("RedfishPowerSupply", chassis_id="1", efficiency_percent=odd, power_input_watts=odd)
    records = [
        make_raw_record(
            "RedfishSample", at_s=n, category="power",
            power_controls=[control, control | {"chassis_id": "2"}], power_supplies=[supply, supply],
        )
        for n in range(3)
    ]  # fmt: skip
    found, failures = applied(power.STEP, *records)

    assert [] == failures
    for each in found:
        assert all(math.isfinite(number) and number >= 0 for number in numbers(each)), each


@pytest.mark.parametrize("odd", ODD)
def test_odd_clocks_and_times_make_no_odd_rates(odd):
    cpus = [make_record("CpuTimes", user_s=value, idle_s=value) for value in (0.0, odd, 1.0)]
    records = [
        make_raw_record("HostSample", at_s=n, category="host", cpu=cpu, cores=[cpu]) for n, cpu in enumerate(cpus)
    ]
    records += [
        make_raw_record("HostSample", at_s=3 + n, category="host", monotonic_s=odd, swap_in=n) for n in range(2)
    ]
    found, failures = applied(hosts.STEP, *records)

    assert [] == failures
    assert all(math.isfinite(number) for each in found for number in numbers(each))


def wild(avro, odd, named):
    """A value of a type with an odd number wherever there is one, and one item in each array."""
    match avro:
        case list():
            return wild(next(each for each in avro if each != "null"), odd, named)
        case str():
            plain = {"double": odd, "long": 1, "string": "x", "boolean": False}
            return plain[avro] if avro in plain else wild(named[avro], odd, named)
        case {"type": "record"}:
            named[avro["name"]] = avro
            return {field["name"]: wild(field["type"], odd, named) for field in avro["fields"]}
        case {"type": "array"}:
            return [wild(avro["items"], odd, named)]
        case _:
            return {} if avro["type"] == "map" else START_TIME


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_record_of_odd_numbers_alone_leads_to_none(step: Step, odd):
    """Whichever field it is in, header included, in all categories; told of by health once, as it does not change."""
    kind = catalog.load()[step.input].schema
    records = [
        wild(catalog.schema(kind).definition, odd, {})
        | {"epoch": "0-a", "sequence": n} | ({"category": category} if step.state_key else {})
        for n in range(3) for category in sorted((step.categories or {"x"}) - {catalog.REMOVED_CATEGORY})
    ]  # fmt: skip
    found, failures = applied(step, *[record | {"errors": []} for record in records])

    assert [] == failures
    assert all(math.isfinite(number) for each in found for number in numbers(each))
    assert len(found) <= (len(step.categories) if step is health.STEP else 3 * len(records))


def domain(**fields):
    return make_record("Domain", **{"vmid": "", "name": "", "uuid": "", "domain_id": 1, "state": 1} | fields)


def test_empty_names_are_names():
    nic = make_record("DomainNic", device="", rxbytes=1)
    records = [
        make_raw_record("LibvirtSample", at_s=n, host="", domains=[domain(cputime=n, nics=[nic])]) for n in range(2)
    ]
    found, failures = applied(vms.STEP, *records)

    assert ([], 4) == (failures, len(found))


def test_an_output_larger_than_kafka_takes_fails_its_record_and_no_other():
    """A domain's name is in its record once and in its outputs once per device."""
    nics = [make_record("DomainNic", device=f"tap{n}", rxbytes=n) for n in range(3)]
    big = [
        make_raw_record("LibvirtSample", at_s=n, domains=[domain(name=MB10[: MAX_RECORD_BYTES // 2], nics=nics)])
        for n in range(2)
    ]
    small = make_raw_record("LibvirtSample", at_s=2, domains=[domain(cputime=1)])
    found, failures = applied(vms.STEP, *big, small)

    assert ["ValueError"] == [type(error).__name__ for error in failures]
    assert "exceeds Kafka's limit" in str(failures[0])
    assert [0, 2] == [each["sequence"] for each in found if "vms" in each and "vm_count" in each]


@pytest.mark.parametrize("step", [vms.STEP, hosts.STEP, power.STEP], ids=lambda step: step.name)
def test_a_host_name_of_10_mb_is_refused_and_nothing_stops(step: Step):
    kind = {"raw-libvirt": "LibvirtSample", "raw-host": "HostSample", "raw-redfish": "RedfishSample"}[step.input]
    records = [make_raw_record(kind, at_s=n, host=MB10, category="power") for n in range(2)]
    found, failures = applied(step, *records)

    assert [] == found
    assert {"ValueError"} == {type(error).__name__ for error in failures}


def test_100_000_devices_are_stepped():
    """Absurd, and each of them has its rates or the record is refused as too large."""
    state = None
    for at_s in (0, 1):
        nics = [make_record("DomainNic") | {"device": f"tap{n}", "rxbytes": at_s} for n in range(100)]
        domains = [make_record("Domain") | {"uuid": f"u{n}", "domain_id": 1, "nics": nics} for n in range(1000)]
        record = make_raw_record("LibvirtSample", at_s=at_s, domains=domains)
        state, outputs = vms.step(state, record)

    assert {"vm-totals": 1000, "vm-features": 1000, "device-rates": 100_000} == {
        alias: len(found.get("vms") or found["devices"]) for alias, found in outputs
    }


def test_a_hostile_pair_of_sources_estimates_nothing_odd():
    joint = JoinPartition(catalog.load(), vm_power.JOIN)
    found = []
    for n, odd in enumerate(ODD * 4):
        controls = [make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=odd)]
        samples = [
            make_raw_record("RedfishSample", at_s=20 * n, category="power", power_controls=controls),
            make_raw_record("LibvirtSample", at_s=20 * n, domains=[domain(cputime=(2**63 - 1) * (n % 2))]),
        ]
        appended_ms = int((START_TIME + timedelta(seconds=20 * n)).timestamp() * 1000)
        for alias, sample in zip(vm_power.JOIN.inputs, samples, strict=True):
            found += joint.apply(alias, n, sample, appended_ms)

    assert [] == joint.failures
    assert found
    assert all(math.isfinite(number) for output in found for number in numbers(output.record))
