"""Model of an XCC: old and new schemas side by side, RPM reported as percent, margins among the temperatures."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rackstream.simulators.model import (
    NUMBER_PLACEHOLDER,
    ROOT,
    BmcModel,
    Document,
    DocumentSource,
    DocumentTree,
    link,
    links,
    members,
    resource,
    status,
)
from rackstream.simulators.models import parts
from rackstream.simulators.models.sensors import SensorSpec, fan, power_subsystem, sensors, thermal_subsystem
from rackstream.simulators.readings import SimulatedReadings

MAKER: Final = "Lenovo"
SYSTEM: Final = f"{ROOT}/Systems/1"
CHASSIS: Final = f"{ROOT}/Chassis/1"
BACKPLANE: Final = f"{ROOT}/Chassis/3"
SLOTS: Final = 16
FANS: Final = tuple(f"Fan {number}{side} Tach" for number in (1, 2, 3) for side in "AB")
TEMPERATURE_SENSORS: Final = (
    SensorSpec("208L0", "Ambient Temp", "Temperature", "C", lambda readings: readings.inlet_celsius, "Intake", 46),
    SensorSpec("252L0", "Exhaust Temp", "Temperature", "C", lambda readings: readings.exhaust_celsius, "Exhaust", 75),
    SensorSpec("228L0", "CPU 1 Temp", "Temperature", "C", lambda readings: readings.cpu_celsius, "CPU", 100),
    SensorSpec("231L0", "CPU 1 DTS", "Temperature", "C", lambda readings: readings.cpu_celsius - 103, "CPU"),
    SensorSpec("229L0", "CPU 2 Temp", "Temperature", "C", lambda readings: readings.other_celsius, "CPU", 100),
    SensorSpec("232L0", "CPU 2 DTS", "Temperature", "C", lambda readings: readings.other_celsius - 103, "CPU"),
)
OTHER_SENSORS: Final = (
    SensorSpec("169L0", "PCIe Conn 12", None, "", lambda _: 0),
    SensorSpec("41L0", "TXT ACM Module", None, "", lambda _: 0),
    SensorSpec("112L0", "Sys Power", "Current", "Watts", lambda readings: readings.watts, "Chassis"),
    SensorSpec("98L0", "SysBrd 12V", "Voltage", "Volts", lambda readings: 12.1 - 0.05 * readings.load, "SystemBoard"),
    *(
        SensorSpec(f"{80 + number}L0", name, "AirFlow", "RPM", partial(SimulatedReadings.fan_rpm, number=number), "Fan")
        for number, name in enumerate(FANS)
    ),
)


def _temperatures(readings: SimulatedReadings) -> list[Document]:
    """Returns the temperatures of ThermalMetrics, and DIMM sensors that are disabled."""
    enabled = [
        {
            **parts.array_entry(f"{CHASSIS}/Thermal", "Temperatures", position, spec.name),
            "PhysicalContext": spec.context,
            "ReadingCelsius": round(spec.reading(readings)),
            "UpperThresholdCritical": spec.critical,
            "LowerThresholdCritical": None,
        }
        for position, spec in enumerate(TEMPERATURE_SENSORS)
    ]
    disabled = [
        {
            **parts.array_entry(
                f"{CHASSIS}/Thermal", "Temperatures", len(TEMPERATURE_SENSORS) + position, f"DIMM {position + 1} Temp"
            ),
            "PhysicalContext": "Memory",
            "ReadingCelsius": None,
            "Status": status(state="Disabled"),
        }
        for position in range(2)
    ]
    return enabled + disabled


def _fans(readings: SimulatedReadings) -> list[Document]:
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Thermal", "Fans", position, name),
            "FanName": name,
            "PhysicalContext": "Fan",
            "Reading": readings.fan_rpm(position),
            "ReadingUnits": "RPM",
            "LowerThresholdCritical": 472,
        }
        for position, name in enumerate(FANS)
    ]


def _power(readings: SimulatedReadings) -> Document:
    """Returns the total power first, then parts of it."""
    rows = (
        ("Server Power Control", readings.watts),
        ("CPU Sub-system Power", readings.cpu_watts),
        ("Memory Sub-system Power", readings.memory_watts),
    )
    controls = [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "PowerControl", position, name),
            "PowerConsumedWatts": round(watts, 1),
            "PowerCapacityWatts": None if position else 4800,
            "PowerRequestedWatts": None if position else 1200,
        }
        for position, (name, watts) in enumerate(rows)
    ]
    volts = round(12.1 - 0.05 * readings.load, 2)
    voltages = [{**parts.array_entry(f"{CHASSIS}/Power", "Voltages", 0, "SysBrd 12V"), "ReadingVolts": volts}]
    supplies = [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "PowerSupplies", position, f"PSU{position + 1}"),
            "PowerCapacityWatts": 2400,
            "PowerInputWatts": round(readings.watts / 2, 1),
            "LastPowerOutputWatts": round(readings.watts / 2 * readings.efficiency / 100, 1),
            "LineInputVoltage": 230,
            "Manufacturer": "Rackstream",
            "Model": "SIM PSU",
            "SerialNumber": f"SIMPSU{readings.number:06d}{position}",
        }
        for position in range(2)
    ]
    arrays: dict[str, Any] = {"PowerControl": controls, "Voltages": voltages, "PowerSupplies": supplies}
    return resource(f"{CHASSIS}/Power", "Power.v1_7_1", **arrays)


def _fan(uri: str, number: int, readings: SimulatedReadings) -> Document:
    rpm = readings.fan_rpm(number)
    return fan(uri, FANS[number], {"Reading": rpm, "SpeedRPM": rpm})


def _memory() -> DocumentTree:
    slots: dict[str, DocumentSource] = {}
    for slot in range(1, SLOTS + 1):
        uri, locator = f"{SYSTEM}/Memory/{slot}", f"DIMM {slot}"
        empty = parts.empty_slot(uri, locator, CapacityMiB=None)
        slots[str(slot)] = parts.dimm(uri, locator) if slot % 2 else empty
    return members(f"{SYSTEM}/Memory", "Memory", slots)


def _processors() -> DocumentTree:
    uri = f"{SYSTEM}/Processors"
    listed: dict[str, DocumentSource] = {
        str(n): parts.processor(f"{uri}/{n}", f"Processor {n}", f"CPU {n}") for n in (1, 2)
    }
    listed["GPU1"] = parts.gpu(f"{uri}/GPU1", "GPU 1", Status={"Health": "OK"})
    return members(uri, "Processor", listed)


def _storage() -> DocumentTree:
    uri = f"{SYSTEM}/Storage/M.2"
    bays = {f"M.2/Drives/Bay_{n}": parts.drive(f"{uri}/Drives/Bay_{n}", f"960 GB SSD {n}") for n in range(2)}
    storage = resource(
        uri,
        "Storage.v1_12_0",
        Status=status(),
        StorageControllers=[parts.controller(uri, "Simulated M.2 kit", SupportedDeviceProtocols=["SATA", "NVMe"])],
        Drives=[link(f"{SYSTEM}/Storage/{bay}") for bay in bays],
    )
    return members(f"{SYSTEM}/Storage", "Storage", {"M.2": storage}, unlisted=bays)


def _network() -> DocumentTree:
    interfaces: dict[str, DocumentSource] = {}
    adapters: dict[str, DocumentSource] = {}
    for name, ports in (("ob_1", 4), ("slot-15", 1)):
        adapter_uri = f"{CHASSIS}/NetworkAdapters/{name}"
        interface_uri = f"{SYSTEM}/NetworkInterfaces/{name}"
        adapters[name] = parts.adapter(adapter_uri, f"Simulated adapter, {ports} ports", ports)
        interfaces[name] = resource(
            interface_uri, "NetworkInterface.v1_2_0", Status=status(), Links={"NetworkAdapter": link(adapter_uri)}
        )
    listed = members(f"{SYSTEM}/NetworkInterfaces", "NetworkInterface", interfaces)
    return {**listed, **members(f"{CHASSIS}/NetworkAdapters", "NetworkAdapter", adapters)}


_CHASSIS_LINKS: Final = ("Thermal", "Power", "ThermalSubsystem", "PowerSubsystem", "Sensors", "NetworkAdapters")
_SYSTEM: Final = parts.system(
    SYSTEM,
    MAKER,
    **links(SYSTEM, "Processors", "Memory", "NetworkInterfaces", "Storage"),
    Links={"Chassis": [link(CHASSIS)]},
)
_CHASSIS: Final = parts.chassis(
    CHASSIS,
    MAKER,
    **links(CHASSIS, *_CHASSIS_LINKS),
    Links={"ComputerSystems": [link(SYSTEM)], "Contains": [link(BACKPLANE)]},
)
_FANS: Final[DocumentTree] = {
    name.replace(" ", "_"): partial(_fan, f"{CHASSIS}/ThermalSubsystem/Fans/{name.replace(' ', '_')}", number)
    for number, name in enumerate(FANS)
}
MODEL: Final = BmcModel(
    name="lenovo",
    vendor="Lenovo",
    manager="1",
    firmware="AFBT34B 2.83",
    redfish_version="1.15.0",
    expand_levels=2,
    etags=True,
    documents={
        **members(f"{ROOT}/Systems", "ComputerSystem", {"1": parts.with_cpu_health(_SYSTEM)}),
        **members(
            f"{ROOT}/Chassis",
            "Chassis",
            {"1": parts.with_cpu_health(_CHASSIS), "3": parts.chassis(BACKPLANE, MAKER, ChassisType="Enclosure")},
        ),
        f"{CHASSIS}/Thermal": parts.thermal(f"{CHASSIS}/Thermal", _temperatures, _fans),
        f"{CHASSIS}/Power": _power,
        **sensors(CHASSIS, (*TEMPERATURE_SENSORS, *OTHER_SENSORS)),
        **thermal_subsystem(CHASSIS, TEMPERATURE_SENSORS, _FANS),
        **power_subsystem(CHASSIS, {f"PSU{n}": {"SerialNumber": f"SIMPSU{NUMBER_PLACEHOLDER}{n - 1}"} for n in (1, 2)}),
        **_processors(),
        **_memory(),
        **_network(),
        **_storage(),
    },
)
