"""A BMC that is not there: its Redfish documents as a pure function of (number, seconds since start). No I/O, no clock.

Watts and fans follow a load; one CPU's temperature goes round a cycle past 90 % of its critical limit and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]

ROOT: Final = "/redfish/v1"
SYSTEM: Final = f"{ROOT}/Systems/System.Embedded.1"
CHASSIS: Final = f"{ROOT}/Chassis/System.Embedded.1"
LOAD_PERIOD_S: Final = 120.0
COOL_CELSIUS: Final = 52.0
HOT_CELSIUS: Final = 98.0
CPU_CRITICAL_CELSIUS: Final = 100.0
CPU_WARNING_CELSIUS: Final = 92.0
PLATEAU: Final = 1.2
"""The cycle is cut off at its top by this factor, so that a breach lasts some polls: 0.31 to 0.69 of the period."""
PSU: Final = {"Manufacturer": "Rackstream", "Model": "SIM PSU", "PartNumber": "SIM-PSU", "FirmwareVersion": "00.01"}
GOLDEN: Final = 0.381966
"""Spreads any number of BMCs over the cycle."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One BMC at one time."""

    number: int
    """From 0."""
    at_s: float
    """Since its start."""
    heat_period_s: float
    """Length of the temperature's cycle; the first BMC begins it at 0, the others within one period after it."""

    @property
    def load(self) -> float:
        """From 0.2 to 0.7."""
        return 0.45 - 0.25 * math.cos(2 * math.pi * (self.at_s / LOAD_PERIOD_S + self.number * GOLDEN))

    @property
    def heat(self) -> float:
        """From 0, cool, to 1, hot."""
        into_s = self.at_s - (self.number * GOLDEN % 1.0) * self.heat_period_s
        if into_s <= 0:
            return 0.0
        return min(1.0, PLATEAU * (1 - math.cos(2 * math.pi * into_s / self.heat_period_s)) / 2)

    @property
    def cpu_celsius(self) -> float:
        """The temperature that goes round the cycle."""
        return COOL_CELSIUS + (HOT_CELSIUS - COOL_CELSIUS) * self.heat

    @property
    def watts(self) -> float:
        """Of the whole server."""
        return 180.0 + 320.0 * self.load


def _status(health: str = "OK") -> Document:
    return {"State": "Enabled", "Health": health}


def _server(moment: Moment) -> Document:
    """What its System and its Chassis say alike."""
    return {
        "Manufacturer": "Rackstream",
        "Model": "Simulated server",
        "SerialNumber": f"SIM{moment.number:06d}",
        "PartNumber": "SIM-1U",
        "Status": _status("Warning" if moment.cpu_celsius >= CPU_WARNING_CELSIUS else "OK"),
    }


def _entry(resource: str, array: str, position: int, name: str) -> Document:
    """What all entries of an array have."""
    uri = f"{CHASSIS}/{resource}#/{array}/{position}"
    return {"@odata.id": uri, "MemberId": str(position), "Name": name, "Status": _status()}


def _collection(uri: str, kind: str, member: str) -> Document:
    return {
        "@odata.id": uri,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members": [{"@odata.id": member}],
        "Members@odata.count": 1,
    }


def _root(moment: Moment) -> Document:
    return {
        "@odata.id": ROOT,
        "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot",
        "Id": "RootService",
        "RedfishVersion": "1.17.0",
        "UUID": f"00000000-0000-4000-8000-{moment.number:012x}",
        "Vendor": "Rackstream simulator",
        "Systems": {"@odata.id": f"{ROOT}/Systems"},
        "Chassis": {"@odata.id": f"{ROOT}/Chassis"},
    }


def _system(moment: Moment) -> Document:
    return {
        "@odata.id": SYSTEM,
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "Id": "System.Embedded.1",
        "SystemType": "Physical",
        "PowerState": "On",
        "Boot": {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideTarget": "None",
            "BootSourceOverrideMode": "UEFI",
            "UefiTargetBootSourceOverride": None,
        },
        "ProcessorSummary": {"Count": 2, "Model": "Simulated CPU, 32 cores", "Status": _status()},
        "MemorySummary": {"TotalSystemMemoryGiB": 512, "Status": _status()},
        "BiosVersion": "1.0.0",
        "UUID": f"00000000-0000-4000-8000-{moment.number:012x}",
        **_server(moment),
    }


def _chassis(moment: Moment) -> Document:
    return {
        "@odata.id": CHASSIS,
        "@odata.type": "#Chassis.v1_21_0.Chassis",
        "Id": "System.Embedded.1",
        "ChassisType": "RackMount",
        **_server(moment),
        "Thermal": {"@odata.id": f"{CHASSIS}/Thermal"},
        "Power": {"@odata.id": f"{CHASSIS}/Power"},
    }


def _temperatures(moment: Moment) -> list[Document]:
    load, inlet = moment.load, 22.0 + math.sin(2 * math.pi * moment.at_s / 900)
    lines = [  # name, context, Cel now, lower critical, warning, critical
        ("CPU1 Temp", "CPU", moment.cpu_celsius, 3.0, CPU_WARNING_CELSIUS, CPU_CRITICAL_CELSIUS),
        ("CPU2 Temp", "CPU", 42.0 + 20 * load, 3.0, CPU_WARNING_CELSIUS, CPU_CRITICAL_CELSIUS),
        ("System Board Inlet Temp", "Intake", inlet, -7.0, 38.0, 42.0),
        ("System Board Exhaust Temp", "Exhaust", inlet + 8 + 12 * load, 3.0, 70.0, 75.0),
        *((f"DIMM A{n} Temp", "Memory", 34.0 + n / 2 + 14 * load, 3.0, 85.0, 95.0) for n in range(1, 5)),
    ]
    return [
        {
            **_entry("Thermal", "Temperatures", position, name),
            "PhysicalContext": context,
            "ReadingCelsius": round(celsius, 1),
            "LowerThresholdCritical": low,
            "UpperThresholdNonCritical": warning,
            "UpperThresholdCritical": critical,
            "UpperThresholdFatal": None,
            "Status": _status("Warning" if celsius >= warning else "OK"),
        }
        for position, (name, context, celsius, low, warning, critical) in enumerate(lines)
    ]


def _thermal(moment: Moment) -> Document:
    rpm = 4200 + 6000 * max(moment.heat, moment.load / 2)
    return {
        "@odata.id": f"{CHASSIS}/Thermal",
        "@odata.type": "#Thermal.v1_7_1.Thermal",
        "Id": "Thermal",
        "Temperatures": _temperatures(moment),
        "Fans": [
            {
                **_entry("Thermal", "Fans", position, f"System Board Fan{position + 1}"),
                "PhysicalContext": "SystemBoard",
                "Reading": round(rpm + 60 * position),
                "ReadingUnits": "RPM",
                "LowerThresholdCritical": 600,
                "UpperThresholdCritical": None,
            }
            for position in range(6)
        ],
    }


def _power_control(moment: Moment) -> list[Document]:
    """The total first, then two of its parts, as Lenovo has them."""
    parts = (
        ("System Power Control", moment.watts, 2400),
        ("CPU Sub-system Power", 60 + 220 * moment.load, None),
        ("Memory Sub-system Power", 25 + 30 * moment.load, None),
    )
    return [
        {
            **_entry("Power", "PowerControl", position, name),
            "PowerConsumedWatts": round(watts, 1),
            "PowerCapacityWatts": capacity,
            "PowerLimit": {"LimitInWatts": None},
        }
        for position, (name, watts, capacity) in enumerate(parts)
    ]


def _power(moment: Moment) -> Document:
    efficiency = 91.0 + 3 * moment.load
    rails = (("PS1 Voltage", 230.0), ("12V Rail", 12.1), ("5V Rail", 5.02), ("3.3V Rail", 3.31))
    return {
        "@odata.id": f"{CHASSIS}/Power",
        "@odata.type": "#Power.v1_7_1.Power",
        "Id": "Power",
        "PowerControl": _power_control(moment),
        "Voltages": [
            {
                **_entry("Power", "Voltages", position, name),
                "PhysicalContext": "VoltageRegulator" if position else "PowerSupply",
                "ReadingVolts": round(volts * (1 - 0.004 * moment.load), 3),
                "UpperThresholdCritical": round(volts * 1.1, 2),
                "LowerThresholdCritical": round(volts * 0.9, 2),
            }
            for position, (name, volts) in enumerate(rails)
        ],
        "PowerSupplies": [
            {
                **_entry("Power", "PowerSupplies", position, f"PS{position + 1} Status"),
                "PowerCapacityWatts": 1200,
                "PowerInputWatts": round(moment.watts / 2, 1),
                "PowerOutputWatts": round(moment.watts / 2 * efficiency / 100, 1),
                "EfficiencyPercent": round(efficiency, 1),
                "LineInputVoltage": 230,
                "LineInputVoltageType": "AC240V",
                **PSU,
                "SerialNumber": f"SIMPSU{moment.number:06d}{position}",
            }
            for position in range(2)
        ],
    }


DOCUMENTS: Final[Mapping[str, Callable[[Moment], Document]]] = {
    "/redfish": lambda _: {"v1": f"{ROOT}/"},
    ROOT: _root,
    f"{ROOT}/Systems": lambda _: _collection(f"{ROOT}/Systems", "ComputerSystem", SYSTEM),
    SYSTEM: _system,
    f"{ROOT}/Chassis": lambda _: _collection(f"{ROOT}/Chassis", "Chassis", CHASSIS),
    CHASSIS: _chassis,
    f"{CHASSIS}/Thermal": _thermal,
    f"{CHASSIS}/Power": _power,
}
"""Path, without a slash at its end → its document."""
