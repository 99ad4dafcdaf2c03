"""Trying rules out: what a pack would have done, beside what those applied did. And what a demo may raise."""

from datetime import timedelta

import pytest

from processors.alerting import rule_pack
from rackstream.alerts.rule_tryout import RuleTryout
from rackstream.demo import fleet
from schemas import catalog
from schemas.testing import START_TIME, make_raw_record, make_record

HOT = rule_pack.load().by_name["temperature-high"]


def thermal(n, celsius):
    reading = make_record(
        "RedfishTemperature", chassis_id="1", sensor_id="0", sensor_name="CPU", reading_celsius=celsius,
        upper_threshold_critical=100.0,
    )  # fmt: skip
    return make_raw_record("RedfishSample", at_s=n, category="thermal", temperatures=[reading])


def tried(celsius, *, since_s=0, **changes):
    candidate = rule_pack.from_rules([HOT.model_copy(update=changes)])
    tryout = RuleTryout(catalog.load(), candidate, rule_pack.builtin(), START_TIME + timedelta(seconds=since_s))
    told = []
    for n, each in enumerate(celsius):
        record = thermal(n, each)
        told += tryout.process("raw-redfish", 0, record, record["observed_at"])
    return tryout, [(whose, each["transition"]) for whose, each in told]


def test_the_same_rules_make_no_difference():
    tryout, told = tried([95.0, 20.0, 20.0])

    assert [("both", "raised"), ("both", "cleared")] == told
    assert ([], []) == tryout.differences()
    assert "no difference" in tryout.as_text()


def test_an_alert_of_one_side_alone_is_told():
    tryout, told = tried([95.0, 95.0, 20.0, 20.0], hold=3)

    assert [("current", "raised"), ("current", "cleared")] == told
    assert [[], ["temperature-high"]] == [[story.rule for story in found] for found in tryout.differences()]
    assert [(0, 1, 1)] == [
        (row["raised"], row["current_raised"], row["only_current"]) for row in tryout.as_plain()["rules"]
    ]
    assert "only with the current one:" in tryout.as_text()


@pytest.mark.parametrize(
    ("celsius", "raised", "active"),
    [
        pytest.param([95.0, 95.0, 95.0], 0, 1, id="raised before the stretch, active in it"),
        pytest.param([95.0, 20.0, 20.0, 20.0, 20.0], None, None, id="over before the stretch"),
        pytest.param([20.0, 20.0, 20.0, 20.0, 95.0], 1, 1, id="raised in the stretch"),
    ],
)
def test_what_was_before_the_stretch_is_known_and_not_counted(celsius, raised, active):
    tryout, _ = tried(celsius, since_s=3)
    rows = tryout.as_plain()["rules"]

    assert ([(raised, active)] if raised is not None else []) == [(row["raised"], row["active"]) for row in rows]


@pytest.mark.parametrize(
    ("alert", "fails"),
    [
        pytest.param("temperature-high node-2", False, id="the simulated CPUs"),
        pytest.param("temperature-high elsewhere", True, id="another host"),
        pytest.param("vm-nic-receive-errors kvm-node", True, id="errors of the test driver"),
        pytest.param("producer-silent redfish-x", True, id="a producer"),
    ],
)
def test_a_demo_fails_on_an_alert_that_it_does_not_expect(alert, fails):
    assert ([alert] if fails else []) == fleet.unexpected([alert])
