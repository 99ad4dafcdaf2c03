"""Health as a stream: what each component is, when it changes, and that its record is all the memory it needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import health
from processors.engine.partition import Partition
from processors.testing import run_step as driven
from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record

LACKS = make_record("PollError", field="/redfish/v1/Chassis/2/Thermal", cause="no answer", count=1, whole=True)


def temperature(celsius, limit=100.0, sensor_id="0", state="Enabled"):
    return make_record(
        "RedfishTemperature", chassis_id="1", sensor_id=sensor_id, sensor_name=f"Temp {sensor_id}",
        reading_celsius=celsius, upper_threshold_critical=limit, state=state,
    )  # fmt: skip


def fan(status, sensor_id="F1", state="Enabled"):
    return make_record(
        "RedfishFan", chassis_id="1", sensor_id=sensor_id, sensor_name="Fan 1", health=status, state=state
    )


def thermal(at_s, *readings, **fields):
    arrays = {"temperatures": [], "fans": []}
    for reading in readings:
        arrays["temperatures" if "reading_celsius" in reading else "fans"].append(reading)
    return make_raw_record("RedfishSample", at_s=at_s, category="thermal", **arrays, **fields)


def system(at_s=0, *, own="OK", processors="OK", memory="OK", system_id="1", **fields):
    found = make_record(
        "RedfishSystem", system_id=system_id, health=own, state="Enabled", power_state="On", model="R750",
        processor_summary=make_record("ProcessorSummary", count=2, model="Xeon", status_health=processors),
        memory_summary=make_record("MemorySummary", total_system_memory_gib=512.0, status_health=memory),
    )  # fmt: skip
    return make_raw_record("RedfishSample", at_s=at_s, category="system", systems=[found], **fields)


def power(at_s, *healths):
    supplies = [
        make_record("RedfishPowerSupply", chassis_id="1", sensor_id=str(n), sensor_name=f"PSU {n}", health=each)
        for n, each in enumerate(healths)
    ]
    return make_raw_record("RedfishSample", at_s=at_s, category="power", power_supplies=supplies)


def storage(at_s, *drives):
    found = [
        {"drive_id": f"D{n}", "health": status, "failure_predicted": predicted, "state": "Enabled"}
        for n, (status, predicted) in enumerate(drives)
    ]
    return make_raw_record("RedfishSample", at_s=at_s, category="storage") | {"drives": found}


def changes(*records):
    """The health records that these lead to; None where nothing changed."""
    return [outputs["state-health"][0] if outputs else None for outputs in driven(health.STEP, records)]


def last(*records):
    return [change for change in changes(*records) if change][-1]


def statuses(found):
    names = ("system", "thermal", "power", "processor", "memory", "storage")
    return {name: found[name]["status"] for name in names if found[name]["status"] != "unknown"}


@pytest.mark.parametrize(
    ("record", "expected", "unknown", "texts"),
    [
        pytest.param(thermal(0, temperature(90.0)), {"thermal": "ok"}, 0, [], id="90 % of critical is not above it"),
        pytest.param(
            thermal(0, temperature(90.1)), {"thermal": "critical"}, 0, ["High temperature: Temp 0 at 90.1°C"],
            id="all sensors are high",
        ),
        pytest.param(
            thermal(0, temperature(95.0), temperature(20.0, sensor_id="1")), {"thermal": "critical"}, 0,
            ["High temperature: Temp 0 at 95.0°C"], id="half of the sensors are high",
        ),
        pytest.param(
            thermal(0, temperature(95.0), *[temperature(20.0, sensor_id=str(n)) for n in (1, 2)]),
            {"thermal": "warning"}, 0, ["High temperature: Temp 0 at 95.0°C"], id="fewer than half are high",
        ),
        pytest.param(
            thermal(0, temperature(95.0), *[temperature(None, sensor_id=str(n)) for n in (1, 2)]),
            {"thermal": "critical"}, 2, ["High temperature: Temp 0 at 95.0°C"],
            id="sensors that say nothing are skipped, and counted",
        ),
        pytest.param(thermal(0, temperature(0.0, state="Absent")), {}, 1, [], id="nor does an absent one count"),
        pytest.param(thermal(0, temperature(99.0, None)), {"thermal": "ok"}, 0, [], id="no limit is none broken"),
        pytest.param(thermal(0, temperature(99.0, 0.0)), {"thermal": "ok"}, 0, [], id="a limit of 0 is none"),
        pytest.param(
            thermal(0, temperature(20.0), fan("Warning")), {"thermal": "warning"}, 0, ["Fan issue: Fan 1 - Warning"],
            id="a fan that is not OK",
        ),
        pytest.param(
            thermal(0, fan("Critical")), {"thermal": "critical"}, 0, ["Fan issue: Fan 1 - Critical"],
            id="the same where no temperature is known",
        ),
        pytest.param(thermal(0, fan(None)), {}, 1, [], id="a fan that says nothing is no issue here"),
        pytest.param(thermal(0, fan("Critical", state="Absent")), {}, 1, [], id="nor is one that is absent"),
        pytest.param(
            system(), {"system": "ok", "processor": "ok", "memory": "ok"}, 0, [], id="a system and its summaries"
        ),
        pytest.param(
            system(own="Warning", processors="Critical", memory=None),
            {"system": "warning", "processor": "critical"}, 1,
            ["Processor issue: 1 - Critical", "System issue: 1 - Warning"], id="each by its own health",
        ),
        pytest.param(power(0, "OK", None), {"power": "ok"}, 1, [], id="supplies"),
        pytest.param(
            power(0, "OK", "Warning"), {"power": "warning"}, 0, ["Power supply issue: PSU 1 - Warning"],
            id="a supply in trouble",
        ),
        pytest.param(storage(0, ("OK", False)), {"storage": "ok"}, 0, [], id="drives"),
        pytest.param(
            storage(0, ("OK", True)), {"storage": "warning"}, 0, ["Drive failure predicted: D0"],
            id="a drive about to fail",
        ),
        pytest.param(
            storage(0, ("Warning", True)), {"storage": "critical"}, 0,
            ["Drive failure predicted: D0", "Drive issue: D0 - Warning"], id="a failed drive is critical",
        ),
        pytest.param(storage(0, (None, False)), {}, 1, [], id="a drive that does not say how it is"),
        pytest.param(
            make_raw_record("RedfishSample", at_s=0, category="storage"), {}, 0, [], id="a record without drives"
        ),
        pytest.param(thermal(0), {}, 0, [], id="a record of nothing"),
    ],
)  # fmt: skip
def test_status(record, expected, unknown, texts):
    [found] = changes(record)

    assert expected == statuses(found)
    assert (unknown, texts) == (found["unknown"], [alert["text"] for alert in found["alerts"]])


def test_a_host_of_which_nothing_is_known_is_unknown():
    assert "unknown" == last(thermal(0))["overall"]


@pytest.mark.parametrize(
    ("records", "overall"),
    [
        pytest.param([system(), thermal(0, temperature(20.0))], "ok", id="all that is known is well"),
        pytest.param([system(), power(0, "Warning")], "warning", id="one is not"),
        pytest.param([power(0, "Critical"), system(own="Warning")], "critical", id="the worst counts"),
        pytest.param([system(), power(0, None)], "ok", id="what is unknown counts for nothing"),
    ],
)
def test_overall_is_the_worst_of_the_last_of_each_category(records, overall):
    assert overall == last(*records)["overall"]


def test_the_details_are_the_seeds():
    found = last(system(), thermal(0, temperature(95.0), temperature(20.0, sensor_id="1"), fan("Critical")))

    assert {"power_state": "On", "model": "R750", "bios_version": None}.items() <= found["system"].items()
    thermals = {"high_temperature_sensors": 1, "total_temperature_sensors": 2, "failed_fans": 1}
    assert thermals.items() <= found["thermal"].items()
    assert (2, "Xeon", 512.0) == (
        found["processor"]["count"], found["processor"]["model"], found["memory"]["total_system_memory_gib"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "changed"),
    [
        pytest.param(system(0), system(1), False, id="the same again"),
        pytest.param(thermal(0, temperature(50.0)), thermal(1, temperature(60.0)), False, id="another temperature"),
        pytest.param(thermal(0, temperature(95.0)), thermal(1, temperature(96.0)), False, id="still high"),
        pytest.param(thermal(0, fan("Warning")), thermal(1, fan("Critical")), True, id="a worse fan"),
        pytest.param(system(0), system(1, own="Warning"), True, id="another health"),
        pytest.param(system(0), power(0, "OK"), True, id="another component is known"),
        pytest.param(system(0), system(1, labels={"rack": "r2"}), True, id="another rack"),
    ],
)
def test_a_record_on_change_only(first, second, changed):
    assert [True, changed] == [change is not None for change in changes(first, second)]


def test_categories_in_turn_change_nothing_when_nothing_changed():
    bad = [thermal(0, fan("Critical")), power(0, "Critical"), system(0, own="Critical")]
    again = [thermal(1, fan("Critical")), power(1, "Critical"), system(1, own="Critical")]

    assert [None] * 3 == changes(*bad, *again)[3:]


def test_what_recovers_is_well_again():
    found = changes(thermal(0, temperature(20.0), fan("Critical")), thermal(1, temperature(20.0), fan("OK")))

    assert [("warning", 1), ("ok", 0)] == [(each["overall"], len(each["alerts"])) for each in found]


@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        pytest.param(thermal(1, errors=[LACKS]), ("warning", 1), id="nothing got: all stays"),
        pytest.param(thermal(1, temperature(20.0), errors=[LACKS]), ("warning", 1), id="the fan not got: it stays"),
        pytest.param(thermal(1, fan("OK"), temperature(20.0), errors=[LACKS]), ("ok", 0), id="the fan is well"),
        pytest.param(
            thermal(1, temperature(20.0), fan("Critical", "F2"), errors=[LACKS]), ("warning", 2), id="another one fails"
        ),
        pytest.param(thermal(1, fan(None), errors=[LACKS]), ("warning", 1), id="what is got says nothing: all stays"),
        pytest.param(
            thermal(1, temperature(95.0), errors=[LACKS]), ("critical", 2), id="what is got may well be worse"
        ),
        pytest.param(thermal(1, temperature(20.0)), ("ok", 0), id="a whole record without the fan: it is gone"),
    ],
)
def test_a_record_that_lacks_a_resource_does_not_tell_that_it_is_well(partial, expected):
    found = last(thermal(0, temperature(20.0), fan("Critical")), partial)

    assert expected == (found["overall"], len(found["alerts"]))


def test_sensors_that_were_not_got_still_count_among_all():
    cool = [temperature(20.0, sensor_id=str(n)) for n in range(1, 10)]
    found = last(thermal(0, temperature(20.0), *cool), thermal(1, temperature(95.0), errors=[LACKS]))

    assert ("warning", 10) == (found["overall"], found["thermal"]["total_temperature_sensors"])


def test_temperatures_and_fans_of_one_number_are_two_components():
    found = last(thermal(0, temperature(95.0, sensor_id="0"), fan("Critical", "0")))

    assert [("fan-unhealthy", "1/0"), ("temperature-high", "1/0")] == [
        (alert["rule"], alert["component"]) for alert in found["alerts"]
    ]


CHOICES = [
    lambda n: thermal(n, temperature(20.0), fan("OK")),
    lambda n: thermal(n, temperature(95.0), fan("OK")),
    lambda n: thermal(n, temperature(20.0 + n), fan("Critical")),
    lambda n: thermal(n, temperature(91.0 + n / 10), errors=[LACKS]),
    lambda n: thermal(n, errors=[LACKS]),
    lambda n: power(n, "OK"),
    lambda n: power(n, "Warning", None),
    system,
    lambda n: system(n, own=None, memory="Critical"),
]


@given(st.lists(st.sampled_from(CHOICES), max_size=14), st.integers(0, 14))
def test_a_worker_restarted_from_the_record_goes_on_as_if_it_had_not(choices, cut):
    """The record is written on change only; the records after it are stepped again and change nothing more."""
    records = [choice(n) for n, choice in enumerate(choices)]
    whole = driven(health.STEP, records)
    schema = catalog.schema("Health")
    restarted = Partition(catalog.load(), [health.STEP])
    resume = 0
    for n, outputs in enumerate(whole[:cut]):
        for memory in outputs.get("state-health", ()):
            resume = n + 1
            restarted.restore_state(health.STEP, codec.Decoder(schema).decode(codec.encode(schema, memory)))
    again = [[output.record for output in restarted.apply(record).outputs] for record in records[resume:]]

    def facts(sent):
        return [[{key: value for key, value in each.items() if key != "as_of"} for each in found] for found in sent]

    assert facts([outputs.get("state-health", []) for outputs in whole[resume:]]) == facts(again)


def test_of_a_host_that_is_no_target_any_more_nothing_is_known():
    before, after = changes(
        thermal(0, fan("Critical")), make_raw_record("RedfishSample", at_s=1, category=catalog.REMOVED_CATEGORY)
    )

    assert ("critical", "unknown") == (before["overall"], after["overall"])
    assert [] == after["alerts"]
