"""The VM step: totals always, rates where two samples of one run of a VM can be compared."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import vms
from processors.testing import run_step
from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record


def nic(device="tap0", **counters):
    return make_record("DomainNic", device=device, **dict.fromkeys(vms.NIC_COUNTERS, 0) | counters)


def disk(device="vda", **counters):
    return make_record("DomainDisk", device=device, **dict.fromkeys(vms.DISK_COUNTERS, 0) | counters)


def vm(uuid="u1", domain_id=1, **fields):
    defaults = {"vmid": "7", "name": "one-7", "state": 1, "nics": [nic()], "disks": [disk()], "cputime": 0}
    return make_record("Domain", uuid=uuid, domain_id=domain_id, **defaults | fields)


def sample(at_s, *domains, **fields):
    return make_raw_record("LibvirtSample", at_s=at_s, domains=list(domains), **fields)


def features(*samples):
    """Each sample's features by UUID."""
    return [
        {each["uuid"]: each for output in outputs.get("vm-features", ()) for each in output["vms"]}
        for outputs in run_step(vms.STEP, samples)
    ]


def test_totals_are_sums_over_devices():
    domain = vm(nics=[nic("a", rxbytes=1), nic("b", rxbytes=2)], disks=[disk("a", rd_req=3), disk("b", rd_req=4)])
    [outputs] = run_step(vms.STEP, [sample(0, domain)])
    [total] = outputs["vm-totals"][0]["vms"]

    assert (3, 7, False) == (total["net_rxbytes"], total["disk_rd_req"], total["partial"])


def test_a_total_with_unknown_parts_is_the_sum_of_the_known_and_says_so():
    [outputs] = run_step(vms.STEP, [sample(0, vm(disks=[disk("a", errors=None, rd_req=1), disk("b", errors=2)]))])
    [total] = outputs["vm-totals"][0]["vms"]

    assert (2, True) == (total["disk_errors"], total["partial"])


def test_a_total_of_only_unknown_parts_is_unknown():
    [outputs] = run_step(vms.STEP, [sample(0, vm(disks=[disk("a", errors=None)]))])
    [total] = outputs["vm-totals"][0]["vms"]

    assert (None, False) == (total["disk_errors"], total["partial"])


def test_a_first_sample_has_totals_and_no_rates():
    [outputs] = run_step(vms.STEP, [sample(0, vm())])

    assert ["vm-totals"] == list(outputs)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param([sample(0, vm(cputime=0)), sample(10, vm(cputime=50))], 5.0, id="the second sample has a rate"),
        pytest.param([sample(0, vm(cputime=90)), sample(10, vm(cputime=50))], None, id="a reset has no rate"),
        pytest.param(
            [sample(0, vm(cputime=90)), sample(10, vm(cputime=50)), sample(20, vm(cputime=60))],
            1.0,
            id="after a reset the next rate is right",
        ),
        pytest.param(
            [sample(0, vm(cputime=0)), sample(10), sample(20, vm(cputime=60))],
            3.0,
            id="a domain absent from one poll is compared over the whole gap",
        ),
        pytest.param(
            [sample(0, vm(cputime=0)), sample(10, vm(cputime=999, stale=True)), sample(20, vm(cputime=60))],
            3.0,
            id="a stale sample is neither rate nor baseline",
        ),
    ],
)
def test_rates(samples, expected):
    assert expected == features(*samples)[-1]["u1"]["cputime_rate"]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(sample(10, vm(domain_id=2, cputime=50)), id="the VM was restarted"),
        pytest.param(sample(10, vm(cputime=50), epoch="1-b"), id="the producer was restarted"),
        pytest.param(sample(301, vm(cputime=50)), id="the gap is longer than the step remembers"),
        pytest.param(sample(10, vm(uuid="u2", cputime=50)), id="it is another VM"),
    ],
)
def test_a_new_baseline_has_no_rate(second):
    assert [{}, {}] == features(sample(0, vm(cputime=0)), second)


def test_a_clock_that_steps_changes_no_rate():
    steady = features(sample(0, vm(cputime=0)), sample(10, vm(cputime=50)))
    stepped = sample(10, vm(cputime=50)) | {"observed_at": make_raw_record("LibvirtSample", at_s=-7200)["observed_at"]}

    assert steady == features(sample(0, vm(cputime=0)), stepped)


def test_guest_memory_counters_move_with_the_guests_report():
    told = [(100, 0), (100, 0), (104, 40)]
    found = features(*(sample(n, vm(memlast_update=at, memswap_in=value)) for n, (at, value) in enumerate(told)))

    assert [None, 10.0] == [each["u1"]["memswap_in_rate"] for each in found[1:]]


def test_each_device_has_its_own_rates():
    first = sample(0, vm(nics=[nic("a"), nic("b")], disks=[disk("vda")]))
    second = sample(2, vm(nics=[nic("a", txbytes=8), nic("b")], disks=[disk("vda", wr_bytes=6), disk("new")]))
    [_, outputs] = run_step(vms.STEP, [first, second])
    found = {device["device"]: device for device in outputs["device-rates"][0]["devices"]}

    assert {"a": 4.0, "b": 0.0, "vda": None} == {name: each["txbytes_rate"] for name, each in found.items()}
    assert found["vda"]["wr_bytes_rate"] == 3.0


numbers = st.integers(0, 2**63 - 1) | st.none()
domains = st.builds(
    lambda uuid, run, cpu, rx, told, swap, stale: vm(
        uuid, run, cputime=cpu, nics=[nic(rxbytes=rx)], memlast_update=told, memswap_in=swap, stale=stale
    ),
    st.sampled_from(["u1", "u2"]), st.integers(1, 2), numbers, numbers, numbers, numbers, st.booleans(),
)  # fmt: skip
samples = st.lists(
    st.builds(
        lambda at_s, found, epoch: sample(at_s, *found, epoch=epoch),
        st.integers(0, 1000),
        st.lists(domains, max_size=3, unique_by=lambda domain: domain["uuid"]),
        st.sampled_from(["0-a", "1-b"]),
    ),
    max_size=6,
)  # fmt: skip


@given(samples)
def test_whatever_comes_nothing_is_negative_nothing_is_mutated_and_all_of_it_fits_the_schema(records):
    before = copy.deepcopy(records)
    for outputs in run_step(vms.STEP, records):
        for alias, found in outputs.items():
            for record in found:
                codec.encode(catalog.schema(catalog.load()[alias].schema), record)
                for each in record.get("vms", []) + record.get("devices", []):
                    rates = [value for name, value in each.items() if name.endswith("_rate") and value is not None]
                    assert all(value >= 0 for value in rates)
                    assert each.get("interval_s", 1) > 0

    assert before == records


@given(samples)
def test_records_that_come_again_lead_to_nothing(records):
    assert [{}] * len(records) == run_step(vms.STEP, records + records)[len(records) :]
