"""Rates: what two readings of a counter say, and what they do not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.rates import angle, change, rate, rates

counters = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize(
    ("before", "now", "elapsed_s", "expected"),
    [
        pytest.param(100, 300, 10, 20.0, id="the difference over the time"),
        pytest.param(100, 100, 10, 0.0, id="no movement is a rate of 0"),
        pytest.param(300, 100, 10, None, id="a counter that went backwards is not a rate"),
        pytest.param(None, 100, 10, None, id="no reading before is no rate"),
        pytest.param(100, None, 10, None, id="no reading now is no rate"),
        pytest.param(100, 300, 0, None, id="no time is no rate"),
        pytest.param(100, 300, -1, None, id="time backwards is no rate"),
    ],
)
def test_rate(before, now, elapsed_s, expected):
    assert expected == rate(before, now, elapsed_s)


def test_a_quantity_may_fall():
    assert change(300, 100, 10) == -20.0


@pytest.mark.parametrize(
    ("per_s", "degrees"),
    [
        pytest.param(0.0, 0.0, id="flat"),
        pytest.param(1.0, 45.0, id="one per second is 45 degrees"),
        pytest.param(-1.0, -45.0, id="falling is negative"),
        pytest.param(None, None, id="no rate has no angle"),
    ],
)
def test_angle(per_s, degrees):
    assert angle(per_s) == (degrees if degrees is None else pytest.approx(degrees))


@given(counters, counters, st.floats(0.001, 1e6))
def test_a_rate_is_never_negative_and_never_infinite(before, now, elapsed_s):
    found = rate(before, now, elapsed_s)

    assert found is None or (found >= 0 and math.isfinite(found))


@given(st.lists(counters | st.none(), min_size=2, max_size=2), st.floats(0.001, 1e6))
def test_every_counter_has_a_rate_and_an_angle_field(values, elapsed_s):
    fields = rates(("a", "b"), values, values, elapsed_s)

    assert ["a_rate", "a_angle", "b_rate", "b_angle"] == list(fields)
