"""The power step: what a host draws, and the energy of an interval."""

import pytest

from processors import power
from processors.testing import run_step
from schemas.testing import make_raw_record, make_record


def control(watts, available=1000.0, chassis_id="1", state="Enabled"):
    return make_record(
        "RedfishPowerControl", chassis_id=chassis_id, power_consumed_watts=watts, power_available_watts=available,
        state=state,
    )  # fmt: skip


def supply(efficiency, state="Enabled"):
    return make_record("RedfishPowerSupply", chassis_id="1", efficiency_percent=efficiency, state=state)


def sample(at_s, *controls, supplies=(), **fields):
    return make_raw_record(
        "RedfishSample",
        at_s=at_s,
        category="power",
        power_controls=list(controls),
        power_supplies=list(supplies),
        **fields,
    )


def analysed(*samples):
    return [outputs["power"][0] for outputs in run_step(power.STEP, samples)]


def test_parts_of_a_chassis_are_not_added_to_its_total():
    [found] = analysed(sample(0, control(700.0), control(99.0), control(14.0)))

    assert 700.0 == found["consumed_watts"]
    assert found["power_utilization_percent"] == pytest.approx(70)


def test_chassis_are_added():
    [found] = analysed(sample(0, control(100.0), control(50.0, chassis_id="2")))

    assert (150.0, 2000.0) == (found["consumed_watts"], found["available_watts"])


def test_nothing_known_is_null_and_not_0():
    [found] = analysed(sample(0, control(None, None)))

    names = ("consumed_watts", "available_watts", "power_utilization_percent", "average_psu_efficiency")
    assert [None] * 4 == [found[name] for name in names]


def test_efficiency_is_the_mean_of_the_supplies_that_report_one():
    supplies = [supply(90.0), supply(94.0), supply(None), supply(50.0, "Absent")]
    [found] = analysed(sample(0, control(1.0), supplies=supplies))

    assert 92.0 == found["average_psu_efficiency"]
    assert 3 == len(found["power_supplies"])


@pytest.mark.parametrize(
    ("second", "joules"),
    [
        pytest.param(sample(10, control(300.0)), 2000.0, id="the mean of both over the time"),
        pytest.param(sample(10, control(None)), None, id="unknown watts have no energy"),
        pytest.param(sample(10, control(300.0), epoch="1-b"), None, id="over a restart there is none"),
        pytest.param(sample(301, control(300.0)), None, id="over a long gap there is none"),
    ],
)
def test_energy(second, joules):
    [first, found] = analysed(sample(0, control(100.0)), second)

    assert (None, joules) == (first["energy_joules"], found["energy_joules"])
