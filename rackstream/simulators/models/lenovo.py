"""As an XCC: both generations of schemas side by side, rpm in a percentage's place, a margin among temperatures."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rackstream.simulators.model import (
    NUMBER,
    ROOT,
    Document,
    Part,
    Parts,
    Shape,
    link,
    links,
    members,
    resource,
    status,
)
from rackstream.simulators.models import parts
from rackstream.simulators.models.sensors import Line, fan, power_subsystem, sensors, thermal_subsystem
from rackstream.simulators.readings import Moment

MAKER: Final = "Lenovo"
SYSTEM: Final = f"{ROOT}/Systems/1"
CHASSIS: Final = f"{ROOT}/Chassis/1"
BACKPLANE: Final = f"{ROOT}/Chassis/3"
SLOTS: Final = 16
FANS: Final = tuple(f"Fan {number}{side} Tach" for number in (1, 2, 3) for side in "AB")
LINES: Final = (
    Line("208L0", "Ambient Temp", "Temperature", "C", lambda now: now.inlet_celsius, "Intake", 46),
    Line("252L0", "Exhaust Temp", "Temperature", "C", lambda now: now.exhaust_celsius, "Exhaust", 75),
    Line("228L0", "CPU 1 Temp", "Temperature", "C", lambda now: now.cpu_celsius, "CPU", 100),
    Line("231L0", "CPU 1 DTS", "Temperature", "C", lambda now: now.cpu_celsius - 103, "CPU"),
    Line("229L0", "CPU 2 Temp", "Temperature", "C", lambda now: now.other_celsius, "CPU", 100),
    Line("232L0", "CPU 2 DTS", "Temperature", "C", lambda now: now.other_celsius - 103, "CPU"),
)
BESIDE: Final = (
    Line("169L0", "PCIe Conn 12", None, "", lambda _: 0),
    Line("41L0", "TXT ACM Module", None, "", lambda _: 0),
    Line("112L0", "Sys Power", "Current", "Watts", lambda now: now.watts, "Chassis"),
    Line("98L0", "SysBrd 12V", "Voltage", "Volts", lambda now: 12.1 - 0.05 * now.load, "SystemBoard"),
    *(
        Line(f"{80 + number}L0", name, "AirFlow", "RPM", partial(Moment.fan_rpm, number=number), "Fan")
        for number, name in enumerate(FANS)
    ),
)


def _temperatures(moment: Moment) -> list[Document]:
    """Those that ThermalMetrics have too, and DIMM sensors that are switched off."""
    told = [
        {
            **parts.entry(f"{CHASSIS}/Thermal", "Temperatures", position, line.name),
            "PhysicalContext": line.context,
            "ReadingCelsius": round(line.reading(moment)),
            "UpperThresholdCritical": line.critical,
            "LowerThresholdCritical": None,
        }
        for position, line in enumerate(LINES)
    ]
    off = [
        {
            **parts.entry(f"{CHASSIS}/Thermal", "Temperatures", len(LINES) + position, f"DIMM {position + 1} Temp"),
            "PhysicalContext": "Memory",
            "ReadingCelsius": None,
            "Status": status(state="Disabled"),
        }
        for position in range(2)
    ]
    return told + off


def _fans(moment: Moment) -> list[Document]:
    return [
        {
            **parts.entry(f"{CHASSIS}/Thermal", "Fans", position, name),
            "FanName": name,
            "PhysicalContext": "Fan",
            "Reading": moment.fan_rpm(position),
            "ReadingUnits": "RPM",
            "LowerThresholdCritical": 472,
        }
        for position, name in enumerate(FANS)
    ]


def _power(moment: Moment) -> Document:
    """The total, then its parts, which are not to be added to it."""
    lines = (
        ("Server Power Control", moment.watts),
        ("CPU Sub-system Power", moment.cpu_watts),
        ("Memory Sub-system Power", moment.memory_watts),
    )
    controls = [
        {
            **parts.entry(f"{CHASSIS}/Power", "PowerControl", position, name),
            "PowerConsumedWatts": round(watts, 1),
            "PowerCapacityWatts": None if position else 4800,
            "PowerRequestedWatts": None if position else 1200,
        }
        for position, (name, watts) in enumerate(lines)
    ]
    volts = round(12.1 - 0.05 * moment.load, 2)
    voltages = [{**parts.entry(f"{CHASSIS}/Power", "Voltages", 0, "SysBrd 12V"), "ReadingVolts": volts}]
    supplies = [
        {
            **parts.entry(f"{CHASSIS}/Power", "PowerSupplies", position, f"PSU{position + 1}"),
            "PowerCapacityWatts": 2400,
            "PowerInputWatts": round(moment.watts / 2, 1),
            "LastPowerOutputWatts": round(moment.watts / 2 * moment.efficiency / 100, 1),
            "LineInputVoltage": 230,
            "Manufacturer": "Rackstream",
            "Model": "SIM PSU",
            "SerialNumber": f"SIMPSU{moment.number:06d}{position}",
        }
        for position in range(2)
    ]
    arrays: dict[str, Any] = {"PowerControl": controls, "Voltages": voltages, "PowerSupplies": supplies}
    return resource(f"{CHASSIS}/Power", "Power.v1_7_1", **arrays)


def _fan(uri: str, number: int, moment: Moment) -> Document:
    rpm = moment.fan_rpm(number)
    return fan(uri, FANS[number], {"Reading": rpm, "SpeedRPM": rpm})


def _memory() -> Parts:
    found: dict[str, Part] = {}
    for slot in range(1, SLOTS + 1):
        uri, locator = f"{SYSTEM}/Memory/{slot}", f"DIMM {slot}"
        empty = parts.empty_slot(uri, locator, CapacityMiB=None)
        found[str(slot)] = parts.dimm(uri, locator) if slot % 2 else empty
    return members(f"{SYSTEM}/Memory", "Memory", found)


def _processors() -> Parts:
    uri = f"{SYSTEM}/Processors"
    listed: dict[str, Part] = {str(n): parts.processor(f"{uri}/{n}", f"Processor {n}", f"CPU {n}") for n in (1, 2)}
    listed["GPU1"] = parts.gpu(f"{uri}/GPU1", "GPU 1", Status={"Health": "OK"})
    return members(uri, "Processor", listed)


def _storage() -> Parts:
    uri = f"{SYSTEM}/Storage/M.2"
    bays = {f"M.2/Drives/Bay_{n}": parts.drive(f"{uri}/Drives/Bay_{n}", f"960 GB SSD {n}") for n in range(2)}
    whole = resource(
        uri,
        "Storage.v1_12_0",
        Status=status(),
        StorageControllers=[parts.controller(uri, "Simulated M.2 kit", SupportedDeviceProtocols=["SATA", "NVMe"])],
        Drives=[link(f"{SYSTEM}/Storage/{bay}") for bay in bays],
    )
    return members(f"{SYSTEM}/Storage", "Storage", {"M.2": whole}, unlisted=bays)


def _network() -> Parts:
    interfaces: dict[str, Part] = {}
    adapters: dict[str, Part] = {}
    for name, ports in (("ob_1", 4), ("slot-15", 1)):
        there = f"{CHASSIS}/NetworkAdapters/{name}"
        interface = f"{SYSTEM}/NetworkInterfaces/{name}"
        adapters[name] = parts.adapter(there, f"Simulated adapter, {ports} ports", ports)
        interfaces[name] = resource(
            interface, "NetworkInterface.v1_2_0", Status=status(), Links={"NetworkAdapter": link(there)}
        )
    listed = members(f"{SYSTEM}/NetworkInterfaces", "NetworkInterface", interfaces)
    return {**listed, **members(f"{CHASSIS}/NetworkAdapters", "NetworkAdapter", adapters)}


_LINKED: Final = ("Thermal", "Power", "ThermalSubsystem", "PowerSubsystem", "Sensors", "NetworkAdapters")
_SYSTEM: Final = parts.system(
    SYSTEM,
    MAKER,
    **links(SYSTEM, "Processors", "Memory", "NetworkInterfaces", "Storage"),
    Links={"Chassis": [link(CHASSIS)]},
)
_CHASSIS: Final = parts.chassis(
    CHASSIS, MAKER, **links(CHASSIS, *_LINKED), Links={"ComputerSystems": [link(SYSTEM)], "Contains": [link(BACKPLANE)]}
)
_FAN_PARTS: Final[Parts] = {
    name.replace(" ", "_"): partial(_fan, f"{CHASSIS}/ThermalSubsystem/Fans/{name.replace(' ', '_')}", number)
    for number, name in enumerate(FANS)
}
SHAPE: Final = Shape(
    name="lenovo",
    vendor="Lenovo",
    manager="1",
    firmware="AFBT34B 2.83",
    version="1.15.0",
    expand=2,
    etags=True,
    documents={
        **members(f"{ROOT}/Systems", "ComputerSystem", {"1": parts.warm(_SYSTEM)}),
        **members(
            f"{ROOT}/Chassis",
            "Chassis",
            {"1": parts.warm(_CHASSIS), "3": parts.chassis(BACKPLANE, MAKER, ChassisType="Enclosure")},
        ),
        f"{CHASSIS}/Thermal": parts.thermal(f"{CHASSIS}/Thermal", _temperatures, _fans),
        f"{CHASSIS}/Power": _power,
        **sensors(CHASSIS, (*LINES, *BESIDE)),
        **thermal_subsystem(CHASSIS, LINES, _FAN_PARTS),
        **power_subsystem(CHASSIS, {f"PSU{n}": {"SerialNumber": f"SIMPSU{NUMBER}{n - 1}"} for n in (1, 2)}),
        **_processors(),
        **_memory(),
        **_network(),
        **_storage(),
    },
)
