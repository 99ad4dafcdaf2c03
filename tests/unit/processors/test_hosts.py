"""The host step: rates of a host's own counters, where two samples can be compared."""

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import hosts
from processors.testing import run_step
from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record


def nic(device="eth0", **counters):
    return make_record("HostInterface", device=device, **counters)


def disk(device="sda", **counters):
    return make_record("HostDisk", device=device, **counters)


def cpu(**times):
    return make_record("CpuTimes", **times)


def sample(at_s, **fields):
    return make_raw_record("HostSample", at_s=at_s, category="host", **fields)


def told(*samples):
    """What each sample leads to, or None."""
    return [outputs.get("host-rates", [None])[0] for outputs in run_step(hosts.STEP, samples)]


def test_every_counter_has_a_rate_and_an_angle():
    before = sample(0, cpu=cpu(user_s=1.0), swap_in=0, disks=[disk(read_bytes=0)], interfaces=[nic(rxbytes=0)])
    after = sample(2, cpu=cpu(user_s=3.0), swap_in=8, disks=[disk(read_bytes=6)], interfaces=[nic(rxbytes=4)])
    [first, found] = told(before, after)

    assert first is None
    assert (2.0, 1.0, 4.0) == (found["interval_s"], found["cpu_user_s_rate"], found["swap_in_rate"])
    assert 45.0 == pytest.approx(found["cpu_user_s_angle"])
    assert (3.0, 2.0) == (found["disks"][0]["read_bytes_rate"], found["interfaces"][0]["rxbytes_rate"])


def test_each_core_and_device_has_its_own_rates():
    before = sample(0, cores=[cpu(idle_s=0.0), cpu(idle_s=0.0)], interfaces=[nic("a", txbytes=0), nic("b", txbytes=0)])
    after = sample(1, cores=[cpu(idle_s=1.0), cpu(idle_s=0.5)], interfaces=[nic("b", txbytes=2), nic("new", txbytes=9)])
    [_, found] = told(before, after)

    assert {"0": 1.0, "1": 0.5} == {core["core"]: core["idle_s_rate"] for core in found["cores"]}
    assert {"b": 2.0} == {interface["device"]: interface["txbytes_rate"] for interface in found["interfaces"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"swap_in": 9}, {"swap_in": 5}, id="a counter that fell"),
        pytest.param({"swap_in": None}, {"swap_in": 5}, id="a counter that was not read before"),
        pytest.param({"swap_in": 5}, {"swap_in": None}, id="a counter that was not read now"),
    ],
)
def test_no_rate_of(before, after):
    [_, found] = told(sample(0, **before), sample(1, **after))

    assert (None, None) == (found["swap_in_rate"], found["swap_in_angle"])


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(sample(10, swap_in=5, epoch="1-b"), id="the producer, and perhaps the host, was restarted"),
        pytest.param(sample(301, swap_in=5), id="the gap is longer than the step remembers"),
        pytest.param(sample(10, swap_in=5) | {"monotonic_s": 1000.0}, id="no time has passed"),
        pytest.param(sample(10, swap_in=5) | {"monotonic_s": math.nan}, id="the time is none"),
        pytest.param(sample(10, swap_in=5) | {"monotonic_s": math.inf}, id="the time is infinite"),
    ],
)
def test_a_new_baseline_has_no_rates(second):
    assert [None, None] == told(sample(0, swap_in=0), second)


def test_a_core_that_came_or_went_leaves_it_open_which_is_which():
    [_, found] = told(sample(0, cores=[cpu(idle_s=1.0)]), sample(1, cores=[cpu(idle_s=2.0), cpu(idle_s=9.0)]))

    assert [] == found["cores"]


def test_a_clock_that_steps_changes_no_rate():
    steady = told(sample(0, swap_in=0), sample(10, swap_in=50))
    stepped = sample(10, swap_in=50) | {"observed_at": sample(-7200)["observed_at"]}
    [_, found] = told(sample(0, swap_in=0), stepped)

    assert steady[1] | {"observed_at": found["observed_at"]} == found


numbers = st.integers(0, 2**63 - 1) | st.none()
times = st.floats(allow_nan=True)
samples = st.lists(
    st.builds(
        lambda at_s, clock, epoch, swap, user, cores, rx: sample(
            at_s, epoch=epoch, swap_in=swap, cpu=cpu(user_s=user), cores=[cpu(idle_s=core) for core in cores],
            interfaces=[nic(rxbytes=each) for each in rx], monotonic_s=clock,
        ),
        st.integers(0, 1000), st.floats(0, 1000) | times, st.sampled_from(["0-a", "1-b"]), numbers, times,
        st.lists(times, max_size=2), st.lists(numbers, max_size=2),
    ),
    max_size=6,
)  # fmt: skip


@given(samples)
def test_whatever_comes_no_rate_is_negative_or_infinite_and_all_of_it_fits_the_schema(records):
    before = copy.deepcopy(records)
    for found in told(*records):
        if found is None:
            continue
        codec.encode(catalog.schema("HostRates"), found)
        for part in [found, *found["cores"], *found["interfaces"]]:
            rates = [value for name, value in part.items() if name.endswith("_rate") and value is not None]
            assert all(0 <= value < math.inf for value in rates)
        assert 0 < found["interval_s"] <= 300

    assert repr(before) == repr(records)


@given(samples)
def test_records_that_come_again_lead_to_nothing(records):
    assert [None] * len(records) == told(*records, *records)[len(records) :]
