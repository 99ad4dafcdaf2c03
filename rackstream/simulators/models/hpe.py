"""Model of an iLO 5: trailing slashes in links, absent sensors that read 0, fans in percent, one Storage per drive."""

from __future__ import annotations

from typing import Any, Final

from rackstream.simulators.model import (
    ABSENT_STATUS,
    ROOT,
    BmcModel,
    Document,
    DocumentTree,
    link,
    links,
    members,
    resource,
    status,
)
from rackstream.simulators.models import parts
from rackstream.simulators.readings import SimulatedReadings

MAKER: Final = "HPE"
SYSTEM: Final = f"{ROOT}/Systems/1"
CHASSIS: Final = f"{ROOT}/Chassis/1"
SLOTS: Final = 12
FILLED: Final = (1, 3, 5, 7, 8, 10, 12, 2)
"""Slots of each processor that have a DIMM."""


def _entry(resource_name: str, array: str, position: int, name: str) -> Document:
    """Returns the common properties of an entry, whose fragment lacks the leading slash."""
    uri = f"{CHASSIS}/{resource_name}#{array}/{position}"
    return {"@odata.id": uri, "MemberId": str(position), "Name": name, "Status": status()}


def _temperatures(readings: SimulatedReadings) -> list[Document]:
    rows: list[tuple[str, str, float | None, float]] = [  # name, context, Cel now, critical
        ("01-Inlet Ambient", "Intake", readings.inlet_celsius, 42),
        ("02-CPU 1", "CPU", readings.cpu_celsius, 100),
        ("03-CPU 2", "CPU", readings.other_celsius, 100),
        ("04-P1 DIMM 1-6", "SystemBoard", readings.dimm_celsius(1), 95),
        ("05-P1 DIMM 7-12", "SystemBoard", readings.dimm_celsius(4), 95),
        ("06-P2 DIMM 1-6", "SystemBoard", None, 0),
        ("32-PCI 2-Add-in card", "SystemBoard", None, 0),
        ("32-PCI 2-Add-in card", "SystemBoard", 45 + 10 * readings.load, 100),
    ]
    return [
        {
            **_entry("Thermal", "Temperatures", position, name),
            "PhysicalContext": context,
            "ReadingCelsius": round(celsius) if celsius is not None else 0,
            "SensorNumber": position + 1,
            "UpperThresholdCritical": critical or None,
            "UpperThresholdFatal": None,
            "Status": status() if celsius is not None else ABSENT_STATUS,
        }
        for position, (name, context, celsius, critical) in enumerate(rows)
    ]


def _fans(readings: SimulatedReadings) -> list[Document]:
    return [
        {
            **_entry("Thermal", "Fans", position, f"Fan {position + 1}"),
            "Reading": readings.fan_percent(position) if position < 6 else 0,
            "ReadingUnits": "Percent",
            "Status": status() if position < 6 else ABSENT_STATUS,
        }
        for position in range(7)
    ]


def _power(readings: SimulatedReadings) -> Document:
    control = {
        "@odata.id": f"{CHASSIS}/Power#PowerControl/0",
        "MemberId": "0",
        "PowerCapacityWatts": 1600,
        "PowerConsumedWatts": round(readings.watts),
        "PowerMetrics": {"AverageConsumedWatts": round(readings.watts), "IntervalInMin": 20},
    }
    supplies = [
        {
            **_entry("Power", "PowerSupplies", position, "HpeServerPowerSupply"),
            "PowerSupplyType": "AC",
            "PowerCapacityWatts": 800,
            "LastPowerOutputWatts": round(readings.watts / 2),
            "LineInputVoltage": 230,
            "LineInputVoltageType": "ACHighLine",
            "Manufacturer": "Rackstream",
            "Model": "SIM PSU",
            "SerialNumber": f"SIMPSU{readings.number:06d}{position} ",
        }
        for position in range(2)
    ]
    return resource(f"{CHASSIS}/Power", "Power.v1_3_0", PowerControl=[control], PowerSupplies=supplies)


def _memory() -> DocumentTree:
    modules: dict[str, Document] = {}
    for socket in (1, 2):
        for slot in range(1, SLOTS + 1):
            name, uri = f"proc{socket}dimm{slot}", f"{SYSTEM}/Memory/proc{socket}dimm{slot}"
            locator = f"PROC {socket} DIMM {slot}"
            empty = parts.empty_slot(uri, locator, CapacityMiB=0)
            modules[name] = parts.dimm(uri, locator, CapacityMiB=32768) if slot in FILLED else empty
    return members(f"{SYSTEM}/Memory", "Memory", modules)


def _storage() -> DocumentTree:
    """Returns one Storage for each drive, as iLO does for NVMe."""
    storages: dict[str, Document] = {}
    drives: dict[str, Document] = {}
    for bay in range(4):
        name = f"DA00000{bay}"
        uri = f"{SYSTEM}/Storage/{name}"
        storages[name] = resource(
            uri,
            "Storage.v1_7_0",
            Name="NVMe Storage System",
            Status=status(),
            Drives=[link(f"{uri}/Drives/{name}")],
            StorageControllers=[parts.controller(uri, "NVMe Storage System", SupportedDeviceProtocols=["NVMe"])],
        )
        drives[f"{name}/Drives/{name}"] = parts.drive(
            f"{uri}/Drives/{name}", f"NVMe drive in bay {bay}", Protocol="NVMe", RotationSpeedRPM=0
        )
    return members(f"{SYSTEM}/Storage", "Storage", storages, unlisted=drives)


def _processor(number: int) -> Document:
    return parts.processor(
        f"{SYSTEM}/Processors/{number}", "Processors", f"Proc {number}", Model="Simulated CPU, 32 cores       "
    )


def _adapters() -> DocumentTree:
    """Returns the adapters of the Chassis; the System's NetworkInterfaces are an empty collection."""
    uri = f"{CHASSIS}/NetworkAdapters"
    specs: dict[str, Any] = {"DE07A000": ("Simulated 10 GbE, 4 ports", 4), "DE083000": ("Simulated 25 GbE, 2 ports", 2)}
    adapters = {name: parts.adapter(f"{uri}/{name}", model, ports, Name="") for name, (model, ports) in specs.items()}
    no_interfaces = members(f"{SYSTEM}/NetworkInterfaces", "NetworkInterface", {})
    return members(uri, "NetworkAdapter", adapters) | no_interfaces


_SYSTEM: Final = parts.system(
    SYSTEM,
    MAKER,
    **links(SYSTEM, "Processors", "Memory", "NetworkInterfaces", "Storage"),
    MemorySummary={"TotalSystemMemoryGiB": 512, "Status": {"HealthRollup": "OK"}},
    Links={"Chassis": [link(CHASSIS)]},
)
_CHASSIS: Final = parts.chassis(
    CHASSIS, MAKER, **links(CHASSIS, "Thermal", "Power", "NetworkAdapters"), Links={"ComputerSystems": [link(SYSTEM)]}
)
MODEL: Final = BmcModel(
    name="hpe",
    vendor="HPE",
    manager="1",
    firmware="iLO 5 v2.72",
    redfish_version="1.13.0",
    expand_levels=1,
    expand_forms=".",
    etags=True,
    trailing_slashes=True,
    documents={
        **members(f"{ROOT}/Systems", "ComputerSystem", {"1": parts.with_cpu_health(_SYSTEM)}),
        **members(f"{ROOT}/Chassis", "Chassis", {"1": parts.with_cpu_health(_CHASSIS)}),
        f"{CHASSIS}/Thermal": parts.thermal(f"{CHASSIS}/Thermal", _temperatures, _fans),
        f"{CHASSIS}/Power": _power,
        **members(f"{SYSTEM}/Processors", "Processor", {str(number): _processor(number) for number in (1, 2)}),
        **_memory(),
        **_adapters(),
        **_storage(),
    },
)
