"""A BMC that is not there: its Redfish documents as a pure function of (number, seconds since start). No I/O, no clock.

Watts and fans follow a load; one CPU's temperature goes round a cycle past 90 % of its critical limit and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from producers.simulate import members
from producers.simulate.moment import (
    CHASSIS,
    CPU_CRITICAL_CELSIUS,
    CPU_WARNING_CELSIUS,
    ROOT,
    SYSTEM,
    Document,
    Moment,
    collection,
    link,
    status,
)

PSU: Final = {"Manufacturer": "Rackstream", "Model": "SIM PSU", "PartNumber": "SIM-PSU", "FirmwareVersion": "00.01"}


def _server(moment: Moment) -> Document:
    """What its System and its Chassis say alike."""
    return {
        "Manufacturer": "Rackstream",
        "Model": "Simulated server",
        "SerialNumber": f"SIM{moment.number:06d}",
        "PartNumber": "SIM-1U",
        "Status": status("Warning" if moment.cpu_celsius >= CPU_WARNING_CELSIUS else "OK"),
    }


def _entry(resource: str, array: str, position: int, name: str) -> Document:
    """What all entries of an array have."""
    uri = f"{CHASSIS}/{resource}#/{array}/{position}"
    return {"@odata.id": uri, "MemberId": str(position), "Name": name, "Status": status()}


def _root(moment: Moment) -> Document:
    return {
        "@odata.id": ROOT,
        "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot",
        "Id": "RootService",
        "RedfishVersion": "1.17.0",
        "UUID": f"00000000-0000-4000-8000-{moment.number:012x}",
        "Vendor": "Rackstream simulator",
        **{name: link(f"{ROOT}/{name}") for name in ("Systems", "Chassis")},
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
        "ProcessorSummary": {"Count": 2, "Model": "Simulated CPU, 32 cores", "Status": status()},
        "MemorySummary": {"TotalSystemMemoryGiB": 512, "Status": status()},
        "BiosVersion": "1.0.0",
        "UUID": f"00000000-0000-4000-8000-{moment.number:012x}",
        **_server(moment),
        **{name: link(f"{SYSTEM}/{name}") for name in ("Processors", "Memory", "NetworkInterfaces", "Storage")},
    }


def _chassis(moment: Moment) -> Document:
    return {
        "@odata.id": CHASSIS,
        "@odata.type": "#Chassis.v1_21_0.Chassis",
        "Id": "System.Embedded.1",
        "ChassisType": "RackMount",
        **_server(moment),
        **{name: link(f"{CHASSIS}/{name}") for name in ("Thermal", "Power", "NetworkAdapters")},
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
            "Status": status("Warning" if celsius >= warning else "OK"),
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
    f"{ROOT}/Systems": lambda _: collection(f"{ROOT}/Systems", "ComputerSystem", ["System.Embedded.1"]),
    SYSTEM: _system,
    f"{ROOT}/Chassis": lambda _: collection(f"{ROOT}/Chassis", "Chassis", ["System.Embedded.1"]),
    CHASSIS: _chassis,
    f"{CHASSIS}/Thermal": _thermal,
    f"{CHASSIS}/Power": _power,
    **members.DOCUMENTS,
}
"""Path, without a slash at its end → its document."""
