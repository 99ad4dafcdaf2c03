"""The alert engine: when it raises, when it clears, and that its memory is all it needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import alerts
from processors.drive import Partition
from processors.rules import Rule, load
from processors.testing import drive
from runtime.errors import Misconfigured
from schemas import catalog, codec
from schemas.testing import item, raw

STEP = alerts.step()


def temperature(celsius, limit=100.0, sensor_id="0", state="Enabled"):
    return item(
        "RedfishTemperature", chassis_id="1", sensor_id=sensor_id, sensor_name="CPU", reading_celsius=celsius,
        upper_threshold_critical=limit, state=state,
    )  # fmt: skip


def fan(health, state="Enabled"):
    return item("RedfishFan", chassis_id="1", sensor_id="F1", sensor_name="Fan 1", health=health, state=state)


def thermal(at_s, temperatures=(), fans=(), **fields):
    return raw(
        "RedfishSample", at_s=at_s, category="thermal", temperatures=list(temperatures), fans=list(fans), **fields
    )


def transitions(records, step=STEP):
    return [
        [(each["transition"], each["cause"]) for each in outputs.get("alerts", ())] for outputs in drive(step, records)
    ]


def heat(*celsius, **fields):
    return [thermal(n, [temperature(each, **fields)] if each is not None else []) for n, each in enumerate(celsius)]


RAISED, RECOVERED, GONE = ("raised", None), ("cleared", "recovered"), ("cleared", "gone")


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param(heat(50.0, 90.1), [[], [RAISED]], id="above 90 % of critical is raised"),
        pytest.param(heat(90.0), [[]], id="90 % itself is not above"),
        pytest.param(heat(95.0, 96.0, 99.0), [[RAISED], [], []], id="it is raised once"),
        pytest.param(heat(95.0, 80.0, 80.0), [[RAISED], [], [RECOVERED]], id="two in a row below 85 % clear it"),
        pytest.param(heat(95.0, 80.0, 87.0, 80.0), [[RAISED], [], [], []], id="between the limits is not below"),
        pytest.param(heat(75.1, limit=None), [[RAISED]], id="without a limit it is 75 °C"),
        pytest.param(heat(75.1, limit=0.0), [[RAISED]], id="a limit of 0 is none"),
        pytest.param(heat(95.0, None, None, None), [[RAISED], [], [], [GONE]], id="gone after three whole records"),
        pytest.param(heat(95.0, None, None, 95.0, None, None), [[RAISED], [], [], [], [], []], id="back in time"),
        pytest.param(heat(0.0, state="Absent"), [[]], id="an absent sensor says nothing"),
        pytest.param([thermal(0, fans=[fan("Critical")])], [[RAISED]], id="a fan that is not OK is raised"),
        pytest.param([thermal(0, fans=[fan(None)])], [[]], id="a fan of unknown health is not"),
        pytest.param([thermal(0, fans=[fan("Critical", "Absent")])], [[]], id="nor one that is absent"),
    ],
)
def test_transitions(records, expected):
    assert expected == transitions(records)


def test_a_reading_that_was_not_got_leaves_the_alert_as_it_is():
    unread = [thermal(n, [temperature(None)]) for n in range(1, 6)]

    assert [[RAISED], [], [], [], [], []] == transitions([*heat(95.0), *unread])


def test_a_record_that_lacks_a_resource_does_not_tell_what_is_gone():
    error = item("PollError", field="/redfish/v1/Chassis/1/Thermal", cause="404", count=1, whole=True)
    broken = [thermal(n, errors=[error]) for n in range(1, 6)]

    assert [[RAISED], [], [], [], [], []] == transitions([*heat(95.0), *broken])


def test_hold_counts_breaches_in_a_row():
    [rule] = [rule for rule in load() if rule.name == "temperature-high"]
    step = alerts.step((rule.model_copy(update={"hold": 2}),))

    assert [[], [], [], [RAISED]] == transitions(heat(95.0, 50.0, 95.0, 95.0), step)


def test_an_alert_keeps_its_id_and_counts_its_revisions():
    found = [each for outputs in drive(STEP, heat(95.0, 50.0, 50.0)) for each in outputs.get("alerts", ())]

    assert 1 == len({each["id"] for each in found})
    assert [0, 1] == [each["revision"] for each in found]
    assert found[0]["started_at"] == found[1]["started_at"]
    assert "High temperature: CPU at 95.0 °C (limit 90.0 °C)" == found[0]["text"]


@given(st.lists(st.sampled_from([None, 50.0, 87.0, 95.0]), max_size=12), st.integers(0, 12))
def test_an_engine_restarted_from_its_memory_goes_on_as_if_it_had_not(celsius, cut):
    """The state record is written on change only; the records after it are stepped again and change nothing more."""
    records = heat(*celsius)
    whole = drive(STEP, records)
    restarted = Partition(catalog.load(), [STEP])
    memories = [(n, output) for n, out in enumerate(whole[:cut]) for output in out.get("state-alerts", ())]
    resume = 0
    if memories:
        resume, memory = memories[-1]
        schema = catalog.schema("AlertState")
        restarted.remember(STEP, codec.Decoder(schema).decode(codec.encode(schema, memory)))
    again = [restarted.apply(record).outputs for record in records[resume:]]

    sent = [out.get("alerts", []) for out in whole[resume + 1 :]]
    assert sent == [[o.record for o in outputs if o.alias == "alerts"] for outputs in again[1:]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[[rules]]\nname = 'x'", "topic", id="a rule that lacks fields"),
        pytest.param("rules = [", "rules.toml", id="a file that is not TOML"),
    ],
)
def test_a_bad_pack_is_refused_with_what_is_wrong(tmp_path, text, says):
    path = tmp_path / "rules.toml"
    path.write_text(text)

    with pytest.raises(Misconfigured, match=says):
        load(path)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"value": "reading_celsius"}, id="half a limit beside a health"),
        pytest.param({"flag": "failure_predicted"}, id="a health and a flag"),
        pytest.param({"health": None}, id="nothing to judge by"),
        pytest.param({"health": None, "value": "reading_celsius"}, id="a value without limits"),
    ],
)
def test_a_rule_is_of_one_kind(fields):
    with pytest.raises(ValueError, match="either value, limit and clear, or health, or flag"):
        Rule.model_validate(load()[1].model_dump() | fields)


PREDICTED = Rule(
    name="supply-will-fail", topic="raw-redfish", category="power", readings="power_supplies",
    component="{chassis_id}/{sensor_id}", flag="failure_predicted", severity="warning",
    text="Failure predicted: {sensor_name}",
)  # fmt: skip


def power(at_s, flag, state="Enabled"):
    supply = item("RedfishPowerSupply", chassis_id="1", sensor_id="0", sensor_name="PSU 1", state=state)
    supplies = [supply | {"failure_predicted": flag}]
    return raw("RedfishSample", at_s=at_s, category="power") | {"power_supplies": supplies}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param([False], [[]], id="false is as it should be"),
        pytest.param([True, True], [[RAISED], []], id="true is raised, once"),
        pytest.param([True, False], [[RAISED], [RECOVERED]], id="false clears it"),
        pytest.param([None], [[]], id="unknown is not raised"),
        pytest.param([True, None], [[RAISED], []], id="unknown does not clear"),
    ],
)
def test_a_flag_must_be_false(flags, expected):
    assert expected == transitions([power(n, flag) for n, flag in enumerate(flags)], alerts.step((PREDICTED,)))


def test_a_flag_of_what_is_absent_says_nothing():
    assert [[]] == transitions([power(0, flag=True, state="Absent")], alerts.step((PREDICTED,)))


def test_drives_are_judged_by_health_and_prediction():
    bad = item("RedfishDrive", system_id="1", drive_id="D0", health="Critical", failure_predicted=True)
    [outputs] = drive(STEP, [raw("RedfishSample", category="storage", drives=[bad])])

    assert [("drive-unhealthy", "1/-/-/D0"), ("drive-failure-predicted", "1/-/-/D0")] == [
        (each["rule"], each["component"]) for each in outputs["alerts"]
    ]


def test_every_category_that_a_rule_names_is_judged_and_no_other():
    step = alerts.step((*load(), PREDICTED))

    assert {"thermal", "storage"} == alerts.step().categories
    assert {"thermal", "storage", "power"} == step.categories
    assert [[RAISED], [RAISED]] == transitions([thermal(0, [temperature(95.0)]), power(0, flag=True)], step)
    system = raw("RedfishSample", at_s=0, category="system")
    assert [[]] == transitions([system], step)


def test_alerts_of_two_categories_do_not_disturb_each_other():
    step = alerts.step((*load(), PREDICTED))
    records = [thermal(0, [temperature(95.0)]), *[power(n, flag=True) for n in range(5)]]

    assert [[RAISED], [RAISED], [], [], [], []] == transitions(records, step), "power records miss no temperature"
