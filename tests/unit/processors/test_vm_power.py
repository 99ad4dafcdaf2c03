"""A host's watts over its VMs: what is estimated, what is not, and that no interleaving of the topics changes it."""

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import vm_power
from processors.engine.join import JoinPartition
from schemas import catalog
from schemas.testing import START_TIME, make_raw_record, make_record

POWER, LIBVIRT = vm_power.POWER, vm_power.LIBVIRT
MINUTE = timedelta(minutes=1)


def power(at_s, watts, **fields):
    controls = [make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=watts)]
    return POWER, make_raw_record("RedfishSample", at_s=at_s, category="power", power_controls=controls, **fields)


def cpu(at_s, used_s, domain_id=1, **fields):
    """A poll at which the VMs, by UUID, have used so much CPU time."""
    domains = [
        make_record("Domain", vmid=uuid, name=f"one-{uuid}", uuid=uuid, domain_id=domain_id, cputime=int(s * 1e9))
        for uuid, s in used_s.items()
    ]
    return LIBVIRT, make_raw_record("LibvirtSample", at_s=at_s, category="domains", domains=domains, **fields)


def ms(at_s):
    return int((START_TIME + timedelta(seconds=at_s)).timestamp() * 1000)


def told(samples, quiet=(), delay_s=0.0):
    """The estimates that samples lead to, each appended `delay_s` after it was observed."""
    joint = JoinPartition(catalog.load(), vm_power.JOIN)
    found = []
    for offset, (alias, record) in enumerate(samples):
        at_ms = int((record["observed_at"].timestamp() + delay_s) * 1000)
        found += joint.apply(alias, offset, record, at_ms)
    for alias, until_s in quiet:
        found += joint.advance_watermark(alias, ms(until_s))
    assert [] == joint.failures
    return [each.record for each in found]


def steady(until_s, every_s=10, watts=300.0, used=None):
    """Both sides, side by side; VM a uses 1 CPU, b half of one."""
    for at_s in range(0, until_s + 1, every_s):
        yield power(at_s, watts)
        yield cpu(at_s, used or {"a": float(at_s), "b": at_s / 2})


def test_watts_are_divided_by_cpu_time_and_add_up():
    [minute] = told(steady(60))
    watts = {each["name"]: each["estimated_watts"] for each in minute["vms"]}

    assert {"one-a": pytest.approx(200), "one-b": pytest.approx(100)} == watts
    assert (300.0, 18000.0, False) == (minute["host_watts"], minute["host_joules"], minute["partial"])
    assert (START_TIME, START_TIME + MINUTE, "cpu-time") == (minute["minute"], minute["observed_at"], minute["method"])
    assert [60.0, 30.0] == [pytest.approx(each["cpu_seconds"]) for each in minute["vms"]]


def test_what_lies_across_the_end_of_a_minute_is_divided_in_proportion():
    samples = [power(0, 100.0), power(90, 100.0), power(150, 100.0), cpu(0, {"a": 0.0}), cpu(90, {"a": 9.0})]
    first, second = told([*samples, cpu(150, {"a": 9.0})])

    assert (pytest.approx(6.0), pytest.approx(3.0)) == tuple(each["vms"][0]["cpu_seconds"] for each in (first, second))
    assert 6000.0 == first["host_joules"]


def test_each_minute_is_told_once():
    minutes = [each["minute"] for each in told(steady(600))]

    assert [START_TIME + n * MINUTE for n in range(10)] == minutes


def test_a_clock_that_steps_back_within_a_minute_makes_no_minute_longer():
    def at(clock_s, monotonic_s):
        yield power(clock_s, 300.0, monotonic_s=monotonic_s)
        yield cpu(clock_s, {"a": monotonic_s}, monotonic_s=monotonic_s)

    clock = [0.0, 10.0, 20.0, 30.0, 40.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    [minute] = told([each for n, clock_s in enumerate(clock) for each in at(clock_s, 10.0 * (n + 1))])

    assert (60.0, 60.0, 18000.0) == tuple(minute[name] for name in ("power_covered_s", "cpu_covered_s", "host_joules"))


def test_vms_that_used_no_cpu_time_have_no_watts():
    [minute] = told(steady(60, used={"a": 1.0, "b": 1.0}))

    assert [(0.0, None), (0.0, None)] == [(each["cpu_share"], each["estimated_watts"]) for each in minute["vms"]]


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([power(n, 300.0) for n in range(0, 200, 10)], id="of a host without VMs to read"),
        pytest.param([cpu(n, {"a": n}) for n in range(0, 200, 10)], id="of a host without power readings"),
        pytest.param([each for n in range(0, 200, 10) for each in (power(n, None), cpu(n, {"a": n}))], id="unknown"),
        pytest.param([each for n in range(0, 2000, 400) for each in (power(n, 1.0), cpu(n, {"a": n}))], id="of gaps"),
    ],
)
def test_nothing_is_estimated(samples):
    assert [] == told(samples, quiet=[(POWER, 5000), (LIBVIRT, 5000)])


def test_a_side_that_fell_silent_is_waited_for_5_min_and_no_longer():
    samples = [each for each in steady(120) if each[0] == LIBVIRT or each[1]["observed_at"] <= START_TIME + MINUTE / 2]

    assert [] == told(samples)
    assert [] == told(samples, quiet=[(POWER, 359)])
    [minute] = told(samples, quiet=[(POWER, 360)])
    assert (True, 30.0, 60.0) == (minute["partial"], minute["power_covered_s"], minute["cpu_covered_s"])


def test_what_comes_after_5_min_is_not_counted_and_not_told_again():
    both = list(steady(120))
    first = [each for each in both if each[0] == LIBVIRT or each[1]["observed_at"] <= START_TIME + MINUTE / 2]
    joint = JoinPartition(catalog.load(), vm_power.JOIN)
    for offset, (alias, record) in enumerate(first):
        joint.apply(alias, offset, record, int(record["observed_at"].timestamp() * 1000))
    late = [each for each in both if each not in first]
    found = [out for n, (alias, record) in enumerate(late) for out in joint.apply(alias, 100 + n, record, ms(361))]

    assert [(START_TIME, 30.0)] == [(each.record["minute"], each.record["power_covered_s"]) for each in found[:1]]
    assert [] == joint.advance_watermark(POWER, ms(400))


@pytest.mark.parametrize("skew_s", [-301, 301])
def test_a_clock_that_is_off_by_more_than_5_min_is_not_believed(skew_s):
    assert [] == told(steady(120), delay_s=skew_s, quiet=[(POWER, 5000), (LIBVIRT, 5000)])


def test_over_a_restart_of_a_vm_only_what_is_known_counts():
    samples = [power(n, 60.0) for n in (0, 30, 60)]
    samples += [
        cpu(0, {"a": 50.0, "b": 0.0}),
        cpu(30, {"a": 1.0, "b": 3.0}, domain_id=2),
        cpu(60, {"a": 2.0, "b": 4.0}, 2),
    ]
    [minute] = told(samples)

    assert {"a": 1.0, "b": 1.0} == {each["uuid"]: pytest.approx(each["cpu_seconds"]) for each in minute["vms"]}


def test_a_worker_that_starts_again_tells_what_the_last_did_not_and_nothing_twice():
    samples = list(steady(300))
    whole = told(samples)
    for cut in range(0, len(samples), 7):
        before, after = JoinPartition(catalog.load(), vm_power.JOIN), JoinPartition(catalog.load(), vm_power.JOIN)
        at = [int(record["observed_at"].timestamp() * 1000) for _, record in samples]
        told_before = [o for n, s in enumerate(samples[:cut]) for o in before.apply(s[0], n, s[1], at[n])]
        for n, (alias, record) in enumerate(samples[:cut]):
            after.apply(alias, n, record, at[n])
        told_after = [o for n, s in enumerate(samples) for o in after.apply(s[0], n, s[1], at[n])]
        assert whole == [each.record for each in told_before + told_after]


steps = st.lists(
    st.tuples(
        st.sampled_from(["power", "cpu", "power", "cpu", "thermal"]),
        st.integers(20, 60)
        | st.integers(5, 40)
        | st.integers(-30, 130),  # seconds since the sample before, by the clock that may step
        st.floats(0, 1000) | st.floats(1, 500) | st.integers(1, 9).map(float) | st.floats(allow_nan=True) | st.none(),
        st.integers(0, 10**12) | st.none(),
        st.integers(0, 9) | st.integers(0, 5) | st.just(0) | st.integers(0, 400),  # seconds until it is appended
        st.sampled_from(["0-a", "0-a", "0-a", "0-a", "1-b"]),
    ),
    min_size=15,
    max_size=40,
)


def samples_of(made):
    """(alias, offset, record, ms) of both topics, each topic in the order of its appending."""
    clock, appended, found = {}, {}, {POWER: [], LIBVIRT: []}
    for n, (kind, elapsed_s, watts, cpu_ns, delay_s, epoch) in enumerate(made):
        alias = LIBVIRT if kind == "cpu" else POWER
        clock[alias] = at_s = max(0, clock.get(alias, 0) + elapsed_s)
        appended[alias] = max(appended.get(alias, 0), ms(at_s + delay_s))
        fields = {"sequence": n, "epoch": epoch, "monotonic_s": 1000.0 + at_s}
        alias, record = cpu(at_s, {"a": 0}, **fields) if kind == "cpu" else power(at_s, watts, **fields)
        if kind == "cpu":
            record["domains"][0]["cputime"] = cpu_ns
        record["category"] = {"power": "power", "thermal": "thermal", "cpu": "domains"}[kind]
        found[alias].append((alias, len(found[alias]), record, appended[alias]))
    return found


def outputs(order):
    joint = JoinPartition(catalog.load(), vm_power.JOIN)
    found = [output for each in order for output in joint.apply(*each)]
    end_ms = max((each[3] for each in order), default=0) + 10**6
    found += [output for alias in (POWER, LIBVIRT) for output in joint.advance_watermark(alias, end_ms)]
    assert [] == joint.failures
    return found


@settings(max_examples=60)
@given(steps, st.randoms(use_true_random=False))
def test_no_interleaving_changes_what_is_told(made, random):
    found = samples_of(made)
    sides = [list(found[POWER]), list(found[LIBVIRT])]
    mixed = []
    while any(sides):
        mixed.append(random.choice([side for side in sides if side]).pop(0))

    one, other = outputs(found[POWER] + found[LIBVIRT]), outputs(mixed)
    assert sorted(each.value for each in one) == sorted(each.value for each in other)


@settings(max_examples=60)
@given(steps)
def test_whatever_comes_an_estimate_is_finite_and_adds_up(made):
    found = samples_of(made)
    merged = sorted(found[POWER] + found[LIBVIRT], key=lambda each: each[3])
    estimates = [output.record for output in outputs(merged)]

    assert len(estimates) == len({estimate["minute"] for estimate in estimates})
    for minute in estimates:
        assert math.isfinite(minute["host_watts"])
        assert minute["host_watts"] >= 0
        assert 0 < minute["power_covered_s"] <= 60.001
        known = [each["estimated_joules"] for each in minute["vms"] if each["estimated_joules"] is not None]
        assert not known or math.isclose(sum(known), minute["host_joules"], rel_tol=1e-6)
        assert minute["minute"].second == 0
