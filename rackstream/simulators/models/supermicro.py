"""Model of a current Supermicro: numbers as text, sensors that are null, drives in a chassis of their own."""

from __future__ import annotations

from typing import Any, Final

from rackstream.simulators.model import (
    ABSENT_STATUS,
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
from rackstream.simulators.readings import SimulatedReadings

MAKER: Final = "Supermicro"
SYSTEM: Final = f"{ROOT}/Systems/1"
CHASSIS: Final = f"{ROOT}/Chassis/1"
BACKPLANE: Final = f"{ROOT}/Chassis/NVMeSSD.0.Group.0.Backplane"
SUPPLIES: Final = 4


def _temperatures(readings: SimulatedReadings) -> list[Document]:
    rows: list[tuple[str, str, float | None, float]] = [  # name, context, Cel now, critical
        ("CPU1 Temp", "CPU", readings.cpu_celsius, 100),
        ("CPU2 Temp", "CPU", readings.other_celsius, 100),
        ("Inlet Temp", "Intake", readings.inlet_celsius, 42),
        ("P1-DIMMA~D Temp", "Memory", readings.dimm_celsius(1), 85),
        ("P1-DIMME~H Temp", "Memory", None, 85),
    ]
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Thermal", "Temperatures", position, name),
            "PhysicalContext": context,
            "ReadingCelsius": None if celsius is None else round(celsius),
            "UpperThresholdCritical": critical,
            "LowerThresholdCritical": 5,
            "Status": ABSENT_STATUS if celsius is None else status(),
        }
        for position, (name, context, celsius, critical) in enumerate(rows)
    ]


def _fans(readings: SimulatedReadings) -> list[Document]:
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Thermal", "Fans", position, f"FAN{position + 1}"),
            "Reading": readings.fan_rpm(position),
            "ReadingUnits": "RPM",
            "LowerThresholdCritical": 420,
        }
        for position in range(4)
    ]


def _power(readings: SimulatedReadings) -> Document:
    watts = readings.watts / (SUPPLIES - 1)
    supplies = [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "PowerSupplies", position, f"Power Supply Bay {position + 1}"),
            "PowerCapacityWatts": 3000,
            "PowerInputWatts": round(watts) if position else None,
            "PowerOutputWatts": round(watts * readings.efficiency / 100) if position else None,
            "LineInputVoltage": 230,
            "Manufacturer": MAKER,
            "Model": "SIM PSU",
            "SerialNumber": f"SIMPSU{readings.number:06d}{position}",
        }
        for position in range(SUPPLIES)
    ]
    rails = {"12V": 12.1, "5VCC": 5.02, "3.3VCC": 3.31, "VBAT": 3.0}
    voltages = [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "Voltages", position, name),
            "ReadingVolts": round(volts * (1 - 0.004 * readings.load), 3),
        }
        for position, (name, volts) in enumerate(rails.items())
    ]
    total = {
        **parts.array_entry(f"{CHASSIS}/Power", "PowerControl", 0, "System Power Control"),
        "PowerConsumedWatts": str(round(readings.watts)),
        "PowerCapacityWatts": 9000,
    }
    arrays: dict[str, Any] = {"PowerControl": [total], "Voltages": voltages, "PowerSupplies": supplies}
    return resource(f"{CHASSIS}/Power", "Power.v1_5_1", **arrays)


def _memory() -> DocumentTree:
    numbers_as_text = {"CapacityMiB": "65536", "AllowedSpeedsMHz": ["4800"]}
    modules: dict[str, DocumentSource] = {
        str(number): parts.dimm(f"{SYSTEM}/Memory/{number}", f"P1-DIMM{channel}1", **numbers_as_text)
        for number, channel in enumerate("ABCDEFGH", 1)
    }
    return members(f"{SYSTEM}/Memory", "Memory", modules)


def _network() -> DocumentTree:
    interface_uri = f"{SYSTEM}/NetworkInterfaces/1"
    adapter_uri = f"{CHASSIS}/NetworkAdapters/1"
    interface = resource(
        interface_uri,
        "NetworkInterface.v1_2_0",
        Name="Network Device View",
        Links={"NetworkAdapter": link(adapter_uri)},
    )
    adapter = parts.adapter(adapter_uri, "Simulated 10 GbE, 2 ports", 1)
    adapter["Controllers"] = adapter["Controllers"] * 2
    return members(f"{SYSTEM}/NetworkInterfaces", "NetworkInterface", {"1": interface}) | members(
        f"{CHASSIS}/NetworkAdapters", "NetworkAdapter", {"1": adapter}
    )


def _storage() -> DocumentTree:
    """Returns a Storage whose drives are below the backplane; one is linked twice, with and without a slash."""
    uri = f"{SYSTEM}/Storage/NVMeSSD"
    drives: dict[str, DocumentSource] = {
        f"Disk.Bay.{bay}": parts.drive(
            f"{BACKPLANE}/Drives/Disk.Bay.{bay}", f"Disk.Bay.{bay}", MediaType=None, Protocol=None
        )
        for bay in range(4)
    }
    drive_links = [link(f"{BACKPLANE}/Drives/{bay}") for bay in drives]
    unnamed_controller = {key: value for key, value in parts.controller(uri, "").items() if key != "Name"}
    storage = resource(
        uri,
        "Storage.v1_9_0",
        Name="NVMe Storage System",
        Status=status(),
        StorageControllers=[unnamed_controller],
        Drives=[*drive_links, link(f"{BACKPLANE}/Drives/Disk.Bay.0/")],
    )
    return members(f"{SYSTEM}/Storage", "Storage", {"NVMeSSD": storage}) | members(
        f"{BACKPLANE}/Drives", "Drive", drives
    )


_SYSTEM: Final = parts.system(
    SYSTEM,
    MAKER,
    **links(SYSTEM, "Processors", "Memory", "NetworkInterfaces", "Storage"),
    Links={"Chassis": [link(CHASSIS)]},
)
_CHASSIS: Final = parts.chassis(
    CHASSIS, MAKER, **links(CHASSIS, "Thermal", "Power", "NetworkAdapters"), Links={"ComputerSystems": [link(SYSTEM)]}
)
_BACKPLANE: Final = parts.chassis(BACKPLANE, MAKER, ChassisType="Enclosure", **links(BACKPLANE, "Drives"))
MODEL: Final = BmcModel(
    name="supermicro",
    vendor=None,
    manager="1",
    firmware="01.01.21",
    redfish_version="1.11.0",
    expand_levels=2,
    one_request_at_a_time=True,
    documents={
        **members(f"{ROOT}/Systems", "ComputerSystem", {"1": parts.with_cpu_health(_SYSTEM)}),
        **members(
            f"{ROOT}/Chassis",
            "Chassis",
            {"1": parts.with_cpu_health(_CHASSIS), BACKPLANE.rpartition("/")[2]: _BACKPLANE},
        ),
        f"{CHASSIS}/Thermal": parts.thermal(f"{CHASSIS}/Thermal", _temperatures, _fans),
        f"{CHASSIS}/Power": _power,
        **members(
            f"{SYSTEM}/Processors",
            "Processor",
            {
                str(number): parts.processor(f"{SYSTEM}/Processors/{number}", "Processor", f"CPU{number}")
                for number in (1, 2)
            },
        ),
        **_memory(),
        **_network(),
        **_storage(),
    },
)
