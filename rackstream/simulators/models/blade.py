"""Model of a blade enclosure behind one BMC: four Systems, dead links, entries without ids, no sessions."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rackstream.simulators.model import (
    ROOT,
    BmcModel,
    Document,
    DocumentSource,
    DocumentTree,
    link,
    links,
    members,
    resource,
)
from rackstream.simulators.models import parts
from rackstream.simulators.readings import SimulatedReadings

MAKER: Final = "Rackstream"
NODES: Final = tuple(f"Node{number}" for number in range(4))
ENCLOSURE: Final = f"{ROOT}/Chassis/Enclosure"
EMPTY: Final = (f"{ROOT}/Chassis/Blade6", f"{ROOT}/Chassis/Blade7")
"""Empty slots that the collection lists."""


def _node_temperatures(number: int, readings: SimulatedReadings) -> list[Document]:
    """Returns temperatures without MemberId and Status, one of them without a reading."""
    rows = (
        ("CPU0 Temp", "CPU", readings.other_celsius + number if number else readings.cpu_celsius),
        ("CPU1 Temp", "CPU", readings.other_celsius),
        ("", "Intake", readings.inlet_celsius),
        ("DIMM Temp", "Memory", None),
    )
    return [
        {
            "Name": name,
            "PhysicalContext": context,
            **({} if celsius is None else {"ReadingCelsius": round(celsius, 1)}),
            **({"UpperThresholdCritical": 100} if context == "CPU" else {}),
        }
        for name, context, celsius in rows
    ]


def _node_power(number: int, readings: SimulatedReadings) -> Document:
    """Returns a Power that reports watts only in an OEM property."""
    oem = {"Vendor": {"PowerMetrics": {"CurrentConsumedWatts": round(readings.watts + number)}}}
    control = {"Name": "Blade Power", "PowerLimit": {"LimitInWatts": None}, "Oem": oem}
    uri = f"{ROOT}/Chassis/Blade{number}/Power"
    return resource(uri, "Power.v1_5_0", PowerControl=[control], Voltages=[{"Name": "P12V", "ReadingVolts": 12.05}])


def _fans(readings: SimulatedReadings) -> list[Document]:
    uri = f"{ENCLOSURE}/Thermal"
    return [
        {
            **parts.array_entry(uri, "Fans", number, f"MOD{number + 1}_FAN1"),
            "@odata.id": f"{uri}#/Fans/MOD{number + 1}_FAN1",
            "MemberId": f"MOD{number + 1}_FAN1",
            "Reading": readings.fan_rpm(number),
            "ReadingUnits": "RPM",
        }
        for number in range(4)
    ]


def _power(readings: SimulatedReadings) -> Document:
    uri = f"{ENCLOSURE}/Power"
    supplies = [
        {
            **parts.array_entry(uri, "PowerSupplies", number, "Rectifier"),
            "@odata.id": f"{uri}#/PowerSupplies/{300 + number}",
            "PowerCapacityWatts": "5500",
            "LastPowerOutputWatts": round(readings.watts * len(NODES) / 3, 1),
        }
        for number in range(3)
    ]
    total = {
        **parts.array_entry(uri, "PowerControl", 0, "Enclosure Power"),
        "PowerConsumedWatts": round(readings.watts * len(NODES), 1),
        "PowerCapacityWatts": 16500,
    }
    arrays: dict[str, Any] = {"PowerControl": [total], "PowerSupplies": supplies}
    return resource(uri, "Power.v1_5_0", **arrays)


def _node(number: int) -> DocumentTree:
    """Returns the resources below one System and its Chassis."""
    system = f"{ROOT}/Systems/Node{number}"
    chassis = f"{ROOT}/Chassis/Blade{number}"
    cpus: DocumentTree = {f"CPU{n}": parts.processor(f"{system}/Processors/CPU{n}", f"CPU{n}", f"P{n}") for n in (0, 1)}
    dimms: DocumentTree = {
        f"DIMM{n}": parts.dimm(f"{system}/Memory/DIMM{n}", f"N{number} DIMM {n}", CapacityMiB=131072) for n in range(4)
    }
    nic = {"Name": "Management Ethernet", "MACAddress": f"02:00:00:00:00:0{number}", "SpeedMbps": None}
    interfaces: DocumentTree = {
        "eth0": resource(f"{system}/EthernetInterfaces/eth0", "EthernetInterface.v1_5_1", **nic)
    }
    return {
        **members(f"{system}/Processors", "Processor", cpus),
        **members(f"{system}/Memory", "Memory", dimms),
        **members(f"{system}/EthernetInterfaces", "EthernetInterface", interfaces),
        **members(f"{system}/Storage", "Storage", {}),
        f"{chassis}/Thermal": parts.thermal(f"{chassis}/Thermal", partial(_node_temperatures, number), lambda _: []),
        f"{chassis}/Power": partial(_node_power, number),
    }


def _systems() -> DocumentTree:
    systems: dict[str, DocumentSource] = {}
    for number, name in enumerate(NODES):
        uri = f"{ROOT}/Systems/{name}"
        chassis_links = {"Chassis": [link(f"{ROOT}/Chassis/Blade{number}")]}
        system = parts.system(
            uri, MAKER, **links(uri, "Processors", "Memory", "EthernetInterfaces", "Storage"), Links=chassis_links
        )
        systems[name] = {**system, "SerialNumber": f"{system['SerialNumber']}-{number}", "UUID": _uuid(system, number)}
    return members(f"{ROOT}/Systems", "ComputerSystem", systems)


def _uuid(system: Document, number: int) -> str:
    """Returns a UUID that differs between the nodes."""
    return str(system["UUID"]).replace("0000-4000", f"{number:04d}-4000", 1)


def _chassis() -> DocumentTree:
    enclosure = parts.chassis(ENCLOSURE, MAKER, ChassisType="Enclosure", **links(ENCLOSURE, "Thermal", "Power"))
    chassis: dict[str, DocumentSource] = {"Enclosure": enclosure}
    for number in range(len(NODES)):
        uri = f"{ROOT}/Chassis/Blade{number}"
        related = {"ComputerSystems": [link(f"{ROOT}/Systems/Node{number}")], "ContainedBy": link(ENCLOSURE)}
        serial = f"{enclosure['SerialNumber']}-{number}"
        chassis[f"Blade{number}"] = parts.chassis(
            uri, MAKER, ChassisType="Blade", SerialNumber=serial, **links(uri, "Thermal", "Power"), Links=related
        )
    tree = dict(members(f"{ROOT}/Chassis", "Chassis", chassis))
    tree[f"{ROOT}/Chassis"]["Members"] += [link(uri) for uri in EMPTY]  # type: ignore[index]
    return tree


def _documents() -> DocumentTree:
    tree = {**_systems(), **_chassis()}
    for number in range(len(NODES)):
        tree |= _node(number)
    tree[f"{ENCLOSURE}/Thermal"] = parts.thermal(
        f"{ENCLOSURE}/Thermal",
        lambda readings: [{"MemberId": "Inlet", "Name": "Inlet", "ReadingCelsius": round(readings.inlet_celsius, 1)}],
        _fans,
    )
    tree[f"{ENCLOSURE}/Power"] = _power
    return tree


MODEL: Final = BmcModel(
    name="blade",
    vendor=None,
    manager="CMC",
    firmware="2.1.4",
    redfish_version="1.7.0",
    sessions=False,
    dead_links=frozenset(EMPTY),
    documents=_documents(),
)
