"""Seed 000's two functions over records: equal to the seed's own text, which stands here, on every branch of it."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.health import generate_health_dashboard
from processors.power import analyze_power_consumption

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Collector:
    """What the seed's functions take, over a list of records."""

    def __init__(self, records):
        self.host = "bmc-1"
        self._records = records

    def _of(self, category):
        return [each for each in self._records if each["category"] == category] or None

    def get_system_telemetry(self):
        return (self._of("system") or [None])[0]

    def get_thermal_telemetry(self):
        return self._of("thermal")

    def get_storage_telemetry(self):
        return self._of("storage")

    def get_power_telemetry(self):
        return self._of("power")


# The seed's text, but for the time and its comments. fmt: off
def seeds_analysis(collector):
    power_data = collector.get_power_telemetry()
    if not power_data:
        return None

    analysis = {
        "total_consumed_watts": 0,
        "total_available_watts": 0,
        "psu_efficiency": [],
        "voltage_readings": [],
        "power_supplies": [],
    }

    for component in power_data:
        if component["type"] == "power_control":
            consumed = component.get("power_consumed_watts", 0)
            available = component.get("power_available_watts", 0)
            analysis["total_consumed_watts"] += consumed or 0
            analysis["total_available_watts"] += available or 0

        elif component["type"] == "power_supply":
            efficiency = component.get("efficiency_percent")
            if efficiency:
                analysis["psu_efficiency"].append(efficiency)
            analysis["power_supplies"].append(
                {
                    "name": component["sensor_name"],
                    "capacity": component.get("power_capacity_watts"),
                    "efficiency": efficiency,
                    "health": component["health"],
                }
            )

        elif component["type"] == "voltage":
            analysis["voltage_readings"].append(
                {
                    "name": component["sensor_name"],
                    "voltage": component.get("reading_volts"),
                    "context": component.get("physical_context"),
                }
            )

    if analysis["total_available_watts"] > 0:
        analysis["power_utilization_percent"] = (
            analysis["total_consumed_watts"] / analysis["total_available_watts"] * 100
        )

    if analysis["psu_efficiency"]:
        analysis["average_psu_efficiency"] = sum(analysis["psu_efficiency"]) / len(analysis["psu_efficiency"])

    return analysis


def seeds_dashboard(collector):  # noqa: C901, PLR0912
    dashboard = {
        "timestamp": NOON.isoformat(),
        "host": collector.host,
        "overall_health": "Unknown",
        "components": {
            "system": {"status": "Unknown", "details": {}},
            "thermal": {"status": "Unknown", "details": {}},
            "power": {"status": "Unknown", "details": {}},
            "processor": {"status": "Unknown", "details": {}},
            "memory": {"status": "Unknown", "details": {}},
            "storage": {"status": "Unknown", "details": {}},
        },
        "alerts": [],
    }

    system_data = collector.get_system_telemetry()
    if system_data:
        dashboard["components"]["system"] = {
            "status": system_data["health"],
            "details": {
                "power_state": system_data["power_state"],
                "model": system_data["model"],
                "bios_version": system_data["bios_version"],
            },
        }

    thermal_data = collector.get_thermal_telemetry()
    if thermal_data:
        high_temps = 0
        total_temps = 0
        failed_fans = 0

        for sensor in thermal_data:
            if sensor["type"] == "temperature":
                total_temps += 1
                temp = sensor.get("reading_celsius")
                critical = sensor.get("upper_threshold_critical")
                if temp and critical and temp > critical * 0.9:  # 90% of critical
                    high_temps += 1
                    dashboard["alerts"].append(f"High temperature: {sensor['sensor_name']} at {temp}°C")

            elif sensor["type"] == "fan" and sensor["health"] != "OK":
                failed_fans += 1
                dashboard["alerts"].append(f"Fan issue: {sensor['sensor_name']} - {sensor['health']}")

        thermal_status = "OK"
        if high_temps > 0 or failed_fans > 0:
            thermal_status = "Warning" if high_temps < total_temps * 0.5 else "Critical"

        dashboard["components"]["thermal"] = {
            "status": thermal_status,
            "details": {
                "high_temperature_sensors": high_temps,
                "total_temperature_sensors": total_temps,
                "failed_fans": failed_fans,
            },
        }

    storage_data = collector.get_storage_telemetry()
    if storage_data:
        failed_drives = 0
        predicted_failures = 0

        for component in storage_data:
            if component["type"] == "drive":
                if component["health"] != "OK":
                    failed_drives += 1
                    dashboard["alerts"].append(f"Drive issue: {component['drive_id']} - {component['health']}")

                if component.get("failure_predicted"):
                    predicted_failures += 1
                    dashboard["alerts"].append(f"Drive failure predicted: {component['drive_id']}")

        storage_status = "OK"
        if failed_drives > 0 or predicted_failures > 0:
            storage_status = "Critical" if failed_drives > 0 else "Warning"

        dashboard["components"]["storage"] = {
            "status": storage_status,
            "details": {"failed_drives": failed_drives, "predicted_failures": predicted_failures},
        }

    component_statuses = [comp["status"] for comp in dashboard["components"].values()]
    if "Critical" in component_statuses:
        dashboard["overall_health"] = "Critical"
    elif "Warning" in component_statuses:
        dashboard["overall_health"] = "Warning"
    elif all(status == "OK" for status in component_statuses if status != "Unknown"):
        dashboard["overall_health"] = "OK"

    return dashboard


# fmt: on


def record(category, kind=None, **fields):
    base = {"timestamp": NOON.isoformat(), "host": "bmc-1", "category": category}
    return base | ({"type": kind} if kind else {}) | {"health": "OK", "state": "Enabled"} | fields


def system(health="OK"):
    return record("system", health=health, power_state="On", model="R750", bios_version="1.2")


def temperature(celsius, critical=100.0, name="CPU"):
    return record(
        "thermal", "temperature", sensor_name=name, reading_celsius=celsius, upper_threshold_critical=critical
    )


def fan(health, name="Fan 1"):
    return record("thermal", "fan", sensor_name=name, health=health, reading_rpm=4200, reading_units="RPM")


def drive(health="OK", *, predicted=False, drive_id="D0"):
    return record("storage", "drive", drive_id=drive_id, health=health, failure_predicted=predicted)


def control(consumed, available):
    return record(
        "power", "power_control", sensor_name="Total", power_consumed_watts=consumed, power_available_watts=available
    )


def supply(efficiency, name="PSU 1", health="OK"):
    return record(
        "power", "power_supply", sensor_name=name, efficiency_percent=efficiency, power_capacity_watts=800.0,
        health=health,
    )  # fmt: skip


def voltage(volts):
    return record("power", "voltage", sensor_name="P12V", reading_volts=volts, physical_context="SystemBoard")


CONTROLLER = record("storage", "controller", controller_id="C0", health="Critical")
CPU = record("processor", "cpu", processor_id="CPU0", health="Critical")


@pytest.mark.parametrize(
    ("records", "overall", "status", "alerts"),
    [
        pytest.param([], "OK", {}, [], id="the seed calls a BMC that says nothing OK"),
        pytest.param([system()], "OK", {"system": "OK"}, [], id="a well system"),
        pytest.param([system("Critical")], "Critical", {"system": "Critical"}, [], id="a critical system"),
        pytest.param([system("Unknown")], "OK", {}, [], id="an unknown system counts for nothing"),
        pytest.param([system("Bad")], "Unknown", {"system": "Bad"}, [], id="another word is not OK"),
        pytest.param([system(), system("Critical")], "OK", {"system": "OK"}, [], id="the first system counts"),
        pytest.param([temperature(90.0)], "OK", {"thermal": "OK"}, [], id="90 % of critical is not above it"),
        pytest.param(
            [temperature(90.1)], "Critical", {"thermal": "Critical"}, ["High temperature: CPU at 90.1°C"],
            id="one of one sensor is high",
        ),
        pytest.param(
            [temperature(91), temperature(20), temperature(20)], "Warning", {"thermal": "Warning"},
            ["High temperature: CPU at 91°C"], id="fewer than half are high",
        ),
        pytest.param(
            [temperature(91), temperature(20)], "Critical", {"thermal": "Critical"},
            ["High temperature: CPU at 91°C"], id="half are high",
        ),
        pytest.param([temperature(None), temperature(0)], "OK", {"thermal": "OK"}, [], id="no reading, or 0"),
        pytest.param([temperature(500, None), temperature(500, 0)], "OK", {"thermal": "OK"}, [], id="no limit, or 0"),
        pytest.param(
            [fan("Warning"), temperature(20)], "Warning", {"thermal": "Warning"}, ["Fan issue: Fan 1 - Warning"],
            id="a fan that is not OK, among cool sensors",
        ),
        pytest.param(
            [fan("Unknown")], "Critical", {"thermal": "Critical"}, ["Fan issue: Fan 1 - Unknown"],
            id="a fan of unknown health without any sensor",
        ),
        pytest.param([fan("OK")], "OK", {"thermal": "OK"}, [], id="a fan that is OK"),
        pytest.param([drive()], "OK", {"storage": "OK"}, [], id="a drive that is OK"),
        pytest.param(
            [drive("Warning")], "Critical", {"storage": "Critical"}, ["Drive issue: D0 - Warning"],
            id="a drive that is not OK",
        ),
        pytest.param(
            [drive(predicted=True)], "Warning", {"storage": "Warning"}, ["Drive failure predicted: D0"],
            id="a drive about to fail",
        ),
        pytest.param(
            [drive("Critical", predicted=True)], "Critical", {"storage": "Critical"},
            ["Drive issue: D0 - Critical", "Drive failure predicted: D0"], id="both",
        ),
        pytest.param([CONTROLLER], "OK", {"storage": "OK"}, [], id="controllers are not judged"),
        pytest.param([CPU, supply(90.0, health="Critical")], "OK", {}, [], id="processors and power are not judged"),
        pytest.param(
            [fan("Critical"), temperature(10), drive("Critical")], "Critical",
            {"thermal": "Warning", "storage": "Critical"},
            ["Fan issue: Fan 1 - Critical", "Drive issue: D0 - Critical"], id="the worst counts",
        ),
    ],
)  # fmt: skip
def test_dashboard(records, overall, status, alerts):
    found = generate_health_dashboard(records, host="bmc-1", timestamp=NOON)

    assert seeds_dashboard(Collector(records)) == found
    assert (overall, alerts) == (found["overall_health"], found["alerts"])
    assert status == {name: each["status"] for name, each in found["components"].items() if each["status"] != "Unknown"}


HEALTH = st.sampled_from(["OK", "Warning", "Critical", "Unknown"])
NUMBER = st.one_of(st.none(), st.floats(0, 200), st.integers(0, 200))
RECORDS = st.lists(
    st.one_of(
        HEALTH.map(system),
        st.builds(temperature, NUMBER, NUMBER),
        HEALTH.map(fan),
        st.builds(drive, HEALTH, predicted=st.booleans()),
        st.builds(control, NUMBER, NUMBER),
        st.builds(supply, NUMBER, health=HEALTH),
        st.builds(voltage, NUMBER),
        st.just(CPU),
        st.just(CONTROLLER),
    ),
    max_size=12,
)


@given(RECORDS)
def test_both_are_the_seeds_on_any_records(records):
    collector = Collector(records)
    wanted = [seeds_dashboard(collector), seeds_analysis(collector)]
    found = [
        generate_health_dashboard(records, host="bmc-1", timestamp=NOON),
        analyze_power_consumption(records),
    ]

    assert json.dumps(wanted) == json.dumps(found), "the same keys in the same order"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param(None, None, id="a collector that failed"),
        pytest.param([], None, id="nothing"),
        pytest.param([temperature(20), CPU], None, id="no power record"),
        pytest.param([control(300.0, 1000.0)], (300.0, 1000.0, 30.0, None), id="utilisation"),
        pytest.param([control(700, 1000), control(99, 0)], (799, 1000, 79.9, None), id="parts are added in the seed"),
        pytest.param([control(None, None)], (0, 0, None, None), id="unknown counts as 0"),
        pytest.param([control(5.0, 0)], (5.0, 0, None, None), id="without capacity there is no utilisation"),
        pytest.param([supply(90.0), supply(94.0), supply(None), supply(0)], (0, 0, None, 92.0), id="mean efficiency"),
    ],
)
def test_power_analysis(records, expected):
    found = analyze_power_consumption(records)

    assert seeds_analysis(Collector(records or [])) == found
    names = ("total_consumed_watts", "total_available_watts", "power_utilization_percent", "average_psu_efficiency")
    assert expected == (found and tuple(found.get(name) for name in names))


def test_the_supplies_and_rails_are_listed_by_the_seeds_keys():
    found = analyze_power_consumption([supply(90.0), voltage(12.1)])

    assert [{"name": "PSU 1", "capacity": 800.0, "efficiency": 90.0, "health": "OK"}] == found["power_supplies"]
    assert [{"name": "P12V", "voltage": 12.1, "context": "SystemBoard"}] == found["voltage_readings"]


def test_the_host_is_the_records_and_the_time_is_now():
    before = datetime.now(UTC)
    found = generate_health_dashboard([system()])

    assert "bmc-1" == found["host"]
    assert before <= datetime.fromisoformat(found["timestamp"]) <= datetime.now(UTC)
    assert "Unknown" == generate_health_dashboard([])["host"]
