"""As an enclosure of blades behind one BMC: four Systems, dead links, entries without ids, no sessions."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rackstream.simulators.model import ROOT, Document, Part, Parts, Shape, link, links, members, resource
from rackstream.simulators.models import parts
from rackstream.simulators.readings import Moment

MAKER: Final = "Rackstream"
NODES: Final = tuple(f"Node{number}" for number in range(4))
ENCLOSURE: Final = f"{ROOT}/Chassis/Enclosure"
EMPTY: Final = (f"{ROOT}/Chassis/Blade6", f"{ROOT}/Chassis/Blade7")
"""Slots that the collection lists, and that are not there."""


def _node_temperatures(number: int, moment: Moment) -> list[Document]:
    """No MemberId, no Status; one has no reading."""
    lines = (
        ("CPU0 Temp", "CPU", moment.other_celsius + number if number else moment.cpu_celsius),
        ("CPU1 Temp", "CPU", moment.other_celsius),
        ("", "Intake", moment.inlet_celsius),
        ("DIMM Temp", "Memory", None),
    )
    return [
        {
            "Name": name,
            "PhysicalContext": context,
            **({} if celsius is None else {"ReadingCelsius": round(celsius, 1)}),
            **({"UpperThresholdCritical": 100} if context == "CPU" else {}),
        }
        for name, context, celsius in lines
    ]


def _node_power(number: int, moment: Moment) -> Document:
    """The watts of a blade are the vendor's own property only."""
    watts = {"Vendor": {"PowerMetrics": {"CurrentConsumedWatts": round(moment.watts + number)}}}
    control = {"Name": "Blade Power", "PowerLimit": {"LimitInWatts": None}, "Oem": watts}
    uri = f"{ROOT}/Chassis/Blade{number}/Power"
    return resource(uri, "Power.v1_5_0", PowerControl=[control], Voltages=[{"Name": "P12V", "ReadingVolts": 12.05}])


def _fans(moment: Moment) -> list[Document]:
    uri = f"{ENCLOSURE}/Thermal"
    return [
        {
            **parts.entry(uri, "Fans", number, f"MOD{number + 1}_FAN1"),
            "@odata.id": f"{uri}#/Fans/MOD{number + 1}_FAN1",
            "MemberId": f"MOD{number + 1}_FAN1",
            "Reading": moment.fan_rpm(number),
            "ReadingUnits": "RPM",
        }
        for number in range(4)
    ]


def _power(moment: Moment) -> Document:
    uri = f"{ENCLOSURE}/Power"
    supplies = [
        {
            **parts.entry(uri, "PowerSupplies", number, "Rectifier"),
            "@odata.id": f"{uri}#/PowerSupplies/{300 + number}",
            "PowerCapacityWatts": "5500",
            "LastPowerOutputWatts": round(moment.watts * len(NODES) / 3, 1),
        }
        for number in range(3)
    ]
    total = {
        **parts.entry(uri, "PowerControl", 0, "Enclosure Power"),
        "PowerConsumedWatts": round(moment.watts * len(NODES), 1),
        "PowerCapacityWatts": 16500,
    }
    arrays: dict[str, Any] = {"PowerControl": [total], "PowerSupplies": supplies}
    return resource(uri, "Power.v1_5_0", **arrays)


def _node(number: int) -> Parts:
    """What one System has, but for itself."""
    system = f"{ROOT}/Systems/Node{number}"
    chassis = f"{ROOT}/Chassis/Blade{number}"
    cpus: Parts = {f"CPU{n}": parts.processor(f"{system}/Processors/CPU{n}", f"CPU{n}", f"P{n}") for n in (0, 1)}
    dimms: Parts = {
        f"DIMM{n}": parts.dimm(f"{system}/Memory/DIMM{n}", f"N{number} DIMM {n}", CapacityMiB=131072) for n in range(4)
    }
    nic = {"Name": "Management Ethernet", "MACAddress": f"02:00:00:00:00:0{number}", "SpeedMbps": None}
    interfaces: Parts = {"eth0": resource(f"{system}/EthernetInterfaces/eth0", "EthernetInterface.v1_5_1", **nic)}
    return {
        **members(f"{system}/Processors", "Processor", cpus),
        **members(f"{system}/Memory", "Memory", dimms),
        **members(f"{system}/EthernetInterfaces", "EthernetInterface", interfaces),
        **members(f"{system}/Storage", "Storage", {}),
        f"{chassis}/Thermal": parts.thermal(f"{chassis}/Thermal", partial(_node_temperatures, number), lambda _: []),
        f"{chassis}/Power": partial(_node_power, number),
    }


def _systems() -> Parts:
    found: dict[str, Part] = {}
    for number, name in enumerate(NODES):
        uri = f"{ROOT}/Systems/{name}"
        linked = {"Chassis": [link(f"{ROOT}/Chassis/Blade{number}")]}
        whole = parts.system(
            uri, MAKER, **links(uri, "Processors", "Memory", "EthernetInterfaces", "Storage"), Links=linked
        )
        found[name] = {**whole, "SerialNumber": f"{whole['SerialNumber']}-{number}", "UUID": _uuid(whole, number)}
    return members(f"{ROOT}/Systems", "ComputerSystem", found)


def _uuid(whole: Document, number: int) -> str:
    """Each node's own."""
    return str(whole["UUID"]).replace("0000-4000", f"{number:04d}-4000", 1)


def _chassis() -> Parts:
    whole = parts.chassis(ENCLOSURE, MAKER, ChassisType="Enclosure", **links(ENCLOSURE, "Thermal", "Power"))
    found: dict[str, Part] = {"Enclosure": whole}
    for number in range(len(NODES)):
        uri = f"{ROOT}/Chassis/Blade{number}"
        linked = {"ComputerSystems": [link(f"{ROOT}/Systems/Node{number}")], "ContainedBy": link(ENCLOSURE)}
        serial = f"{whole['SerialNumber']}-{number}"
        found[f"Blade{number}"] = parts.chassis(
            uri, MAKER, ChassisType="Blade", SerialNumber=serial, **links(uri, "Thermal", "Power"), Links=linked
        )
    listed = dict(members(f"{ROOT}/Chassis", "Chassis", found))
    listed[f"{ROOT}/Chassis"]["Members"] += [link(uri) for uri in EMPTY]  # type: ignore[index]
    return listed


def _documents() -> Parts:
    found = {**_systems(), **_chassis()}
    for number in range(len(NODES)):
        found |= _node(number)
    found[f"{ENCLOSURE}/Thermal"] = parts.thermal(
        f"{ENCLOSURE}/Thermal",
        lambda moment: [{"MemberId": "Inlet", "Name": "Inlet", "ReadingCelsius": round(moment.inlet_celsius, 1)}],
        _fans,
    )
    found[f"{ENCLOSURE}/Power"] = _power
    return found


SHAPE: Final = Shape(
    name="blade",
    vendor=None,
    manager="CMC",
    firmware="2.1.4",
    version="1.7.0",
    sessions=False,
    dead=frozenset(EMPTY),
    documents=_documents(),
)
