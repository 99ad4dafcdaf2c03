"""As an iDRAC 9 of its first years: Thermal and Power only, `$expand` of one level, rails that say good or bad."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rackstream.simulators.model import ROOT, Document, Make, Part, Parts, Shape, link, links, members, resource, status
from rackstream.simulators.models import parts
from rackstream.simulators.readings import Moment

MAKER: Final = "Dell Inc."
SYSTEM: Final = f"{ROOT}/Systems/System.Embedded.1"
CHASSIS: Final = f"{ROOT}/Chassis/System.Embedded.1"
CPUS: Final = ("CPU.Socket.1", "CPU.Socket.2")
GPU: Final = "Video.Slot.1-1"
DIMMS: Final = tuple(f"DIMM.Socket.A{number}" for number in range(1, 11))
FILLED: Final = 8
"""The last two slots are empty."""
NICS: Final = {"NIC.Embedded.1": (2, "Simulated 10 GbE, 2 ports"), "NIC.Slot.2": (1, "Simulated 100 GbE, 1 port")}
"""Id → ports and model."""
STORAGE: Final = f"{SYSTEM}/Storage/RAID.Slot.1-1"


def _temperatures(moment: Moment) -> list[Document]:
    lines: list[tuple[str, str, float, tuple[float, float, float]]] = [  # name, context, Cel now, limits
        ("CPU1 Temp", "CPU", moment.cpu_celsius, parts.CPU_LIMITS),
        ("CPU2 Temp", "CPU", moment.other_celsius, parts.CPU_LIMITS),
        ("System Board Inlet Temp", "Intake", moment.inlet_celsius, parts.INLET_LIMITS),
        ("System Board Exhaust Temp", "Exhaust", moment.exhaust_celsius, parts.EXHAUST_LIMITS),
        *((f"DIMM A{n} Temp", "Memory", moment.dimm_celsius(n), parts.DIMM_LIMITS) for n in range(1, 5)),
    ]
    return [
        parts.temperature(parts.entry(f"{CHASSIS}/Thermal", "Temperatures", position, name), context, celsius, limits)
        for position, (name, context, celsius, limits) in enumerate(lines)
    ]


def _fans(moment: Moment) -> list[Document]:
    return [
        {
            **parts.entry(f"{CHASSIS}/Thermal", "Fans", position, f"System Board Fan{position + 1}"),
            "PhysicalContext": "SystemBoard",
            "Reading": moment.fan_rpm(position),
            "ReadingUnits": "RPM",
            "LowerThresholdCritical": 600,
            "UpperThresholdCritical": None,
        }
        for position in range(6)
    ]


def _controls(moment: Moment) -> list[Document]:
    """The total first, then two of its parts."""
    lines = (
        ("System Power Control", moment.watts, 2400),
        ("CPU Sub-system Power", moment.cpu_watts, None),
        ("Memory Sub-system Power", moment.memory_watts, None),
    )
    return [
        {
            **parts.entry(f"{CHASSIS}/Power", "PowerControl", position, name),
            "PowerConsumedWatts": round(watts, 1),
            "PowerCapacityWatts": capacity,
            "PowerLimit": {"LimitInWatts": None},
        }
        for position, (name, watts, capacity) in enumerate(lines)
    ]


def _voltages(moment: Moment) -> list[Document]:
    rails = (("PS1 Voltage", 230.0), ("12V Rail", 12.1), ("5V Rail", 5.02), ("3.3V Rail", 3.31))
    return [
        {
            **parts.entry(f"{CHASSIS}/Power", "Voltages", position, name),
            "PhysicalContext": "VoltageRegulator" if position else "PowerSupply",
            "ReadingVolts": round(volts * (1 - 0.004 * moment.load), 3),
            "UpperThresholdCritical": round(volts * 1.1, 2),
            "LowerThresholdCritical": round(volts * 0.9, 2),
        }
        for position, (name, volts) in enumerate(rails)
    ]


def _supplies(moment: Moment) -> list[Document]:
    return [
        {
            **parts.entry(f"{CHASSIS}/Power", "PowerSupplies", position, f"PS{position + 1} Status"),
            "PowerCapacityWatts": 1200,
            "PowerInputWatts": round(moment.watts / 2, 1),
            "PowerOutputWatts": round(moment.watts / 2 * moment.efficiency / 100, 1),
            "LastPowerOutputWatts": None,
            "EfficiencyPercent": round(moment.efficiency, 1),
            "LineInputVoltage": 230,
            "LineInputVoltageType": "AC240V",
            "Manufacturer": "DELL",
            "Model": "SIM PSU",
            "PartNumber": "SIM-PSU",
            "FirmwareVersion": "00.01",
            "SerialNumber": f"SIMPSU{moment.number:06d}{position}",
        }
        for position in range(2)
    ]


def _power(moment: Moment) -> Document:
    arrays = {"PowerControl": _controls, "Voltages": _voltages, "PowerSupplies": _supplies}
    told: dict[str, Any] = {name: make(moment) for name, make in arrays.items()}
    return resource(f"{CHASSIS}/Power", "Power.v1_7_1", **told)


def _cpu(number: int) -> Make:
    uri = f"{SYSTEM}/Processors/CPU.Socket.{number}"
    metrics = link(f"{uri}/ProcessorMetrics")
    still = parts.processor(uri, f"CPU {number}", f"CPU.Socket.{number}", Metrics=metrics)
    return lambda moment: {**still, "OperatingSpeedMHz": round(2000 + 1800 * moment.load)}


def _metrics(name: str, moment: Moment) -> Document:
    celsius = {CPUS[0]: moment.cpu_celsius, GPU: moment.gpu_celsius}.get(name, moment.other_celsius)
    watts = 50 + 300 * moment.load if name == GPU else moment.cpu_watts / 2
    hits = {"CacheMetricsTotal": {"CurrentPeriod": {"HitRatio": round(0.97 - 0.1 * moment.load, 3)}}}
    return resource(
        f"{SYSTEM}/Processors/{name}/ProcessorMetrics",
        "ProcessorMetrics.v1_6_0",
        TemperatureCelsius=round(celsius, 1),
        ConsumedPowerWatt=round(watts, 1),
        **({} if name == GPU else hits),
    )


def _dimm(number: int) -> Document:
    uri = f"{SYSTEM}/Memory/{DIMMS[number - 1]}"
    if number > FILLED:
        return parts.empty_slot(uri, f"DIMM A{number}", CapacityMiB=0)
    return parts.dimm(uri, f"DIMM A{number}", EnvironmentMetrics=link(f"{uri}/EnvironmentMetrics"))


def _dimm_metrics(number: int, moment: Moment) -> Document:
    return resource(
        f"{SYSTEM}/Memory/{DIMMS[number - 1]}/EnvironmentMetrics",
        "EnvironmentMetrics.v1_3_0",
        TemperatureCelsius={"Reading": round(moment.dimm_celsius(number), 1)},
        PowerWatts={"Reading": round(moment.memory_watts / FILLED, 2)},
    )


def _interface(name: str) -> Document:
    uri = f"{SYSTEM}/NetworkInterfaces/{name}"
    linked = {"NetworkAdapter": link(f"{CHASSIS}/NetworkAdapters/{name}")}
    return resource(uri, "NetworkInterface.v1_2_0", Name=name, Description=NICS[name][1], Status=status(), Links=linked)


def _storage() -> Parts:
    """Two SSDs, then two HDDs."""
    names = [f"Disk.Bay.{bay}" for bay in range(4)]
    drives = {f"{STORAGE}/Drives/{name}": bay for bay, name in enumerate(names)}
    holder = resource(
        STORAGE,
        "Storage.v1_10_1",
        Name="Simulated RAID controller",
        Status=status(),
        StorageControllers=[parts.controller(STORAGE, "Simulated RAID controller")],
        Drives=[link(uri) for uri in drives],
    )
    found = members(f"{SYSTEM}/Storage", "Storage", {"RAID.Slot.1-1": holder})
    return found | {uri: parts.drive(uri, f"Disk in bay {bay}", spins=bay >= 2) for uri, bay in drives.items()}


def _processors() -> Parts:
    uri = f"{SYSTEM}/Processors"
    listed: dict[str, Part] = {name: _cpu(number) for number, name in enumerate(CPUS, 1)}
    listed[GPU] = parts.gpu(f"{uri}/{GPU}", "GPU 1", Metrics=link(f"{uri}/{GPU}/ProcessorMetrics"))
    metrics: Parts = {f"{name}/ProcessorMetrics": partial(_metrics, name) for name in listed}
    return members(uri, "Processor", listed, unlisted=metrics)


def _memory() -> Parts:
    listed: Parts = {name: _dimm(number) for number, name in enumerate(DIMMS, 1)}
    metrics: Parts = {
        f"{name}/EnvironmentMetrics": partial(_dimm_metrics, number) for number, name in enumerate(DIMMS[:FILLED], 1)
    }
    return members(f"{SYSTEM}/Memory", "Memory", listed, unlisted=metrics)


SHAPE: Final = Shape(
    name="dell",
    vendor="Dell",
    manager="iDRAC.Embedded.1",
    firmware="4.40.00.00",
    version="1.9.0",
    expand=1,
    full="IDRAC.2.8.RAC0218",
    documents={
        **members(
            f"{ROOT}/Systems",
            "ComputerSystem",
            {
                "System.Embedded.1": parts.warm(
                    parts.system(
                        SYSTEM,
                        MAKER,
                        **links(SYSTEM, "Processors", "Memory", "NetworkInterfaces", "Storage"),
                        Links={"Chassis": [link(CHASSIS)]},
                    )
                )
            },
        ),
        **members(
            f"{ROOT}/Chassis",
            "Chassis",
            {
                "System.Embedded.1": parts.warm(
                    parts.chassis(
                        CHASSIS,
                        MAKER,
                        **links(CHASSIS, "Thermal", "Power", "NetworkAdapters"),
                        Links={"ComputerSystems": [link(SYSTEM)]},
                    )
                )
            },
        ),
        f"{CHASSIS}/Thermal": parts.thermal(f"{CHASSIS}/Thermal", _temperatures, _fans),
        f"{CHASSIS}/Power": _power,
        **_processors(),
        **_memory(),
        **members(f"{SYSTEM}/NetworkInterfaces", "NetworkInterface", {name: _interface(name) for name in NICS}),
        **members(
            f"{CHASSIS}/NetworkAdapters",
            "NetworkAdapter",
            {name: parts.adapter(f"{CHASSIS}/NetworkAdapters/{name}", model, n) for name, (n, model) in NICS.items()},
        ),
        **_storage(),
    },
)
