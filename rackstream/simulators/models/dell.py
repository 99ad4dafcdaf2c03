"""Model of an early iDRAC 9: Thermal and Power only, and `$expand` of one level."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rackstream.simulators.model import (
    ROOT,
    BmcModel,
    Document,
    DocumentFactory,
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

MAKER: Final = "Dell Inc."
SYSTEM: Final = f"{ROOT}/Systems/System.Embedded.1"
CHASSIS: Final = f"{ROOT}/Chassis/System.Embedded.1"
CPUS: Final = ("CPU.Socket.1", "CPU.Socket.2")
GPU: Final = "Video.Slot.1-1"
DIMMS: Final = tuple(f"DIMM.Socket.A{number}" for number in range(1, 11))
FILLED: Final = 8
"""DIMMs in the first slots; the last two are empty."""
NICS: Final = {"NIC.Embedded.1": (2, "Simulated 10 GbE, 2 ports"), "NIC.Slot.2": (1, "Simulated 100 GbE, 1 port")}
"""Id → ports and model."""
STORAGE: Final = f"{SYSTEM}/Storage/RAID.Slot.1-1"


def _temperatures(readings: SimulatedReadings) -> list[Document]:
    rows: list[tuple[str, str, float, tuple[float, float, float]]] = [  # name, context, Cel now, limits
        ("CPU1 Temp", "CPU", readings.cpu_celsius, parts.CPU_LIMITS),
        ("CPU2 Temp", "CPU", readings.other_celsius, parts.CPU_LIMITS),
        ("System Board Inlet Temp", "Intake", readings.inlet_celsius, parts.INLET_LIMITS),
        ("System Board Exhaust Temp", "Exhaust", readings.exhaust_celsius, parts.EXHAUST_LIMITS),
        *((f"DIMM A{n} Temp", "Memory", readings.dimm_celsius(n), parts.DIMM_LIMITS) for n in range(1, 5)),
    ]
    return [
        parts.temperature(
            parts.array_entry(f"{CHASSIS}/Thermal", "Temperatures", position, name), context, celsius, limits
        )
        for position, (name, context, celsius, limits) in enumerate(rows)
    ]


def _fans(readings: SimulatedReadings) -> list[Document]:
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Thermal", "Fans", position, f"System Board Fan{position + 1}"),
            "PhysicalContext": "SystemBoard",
            "Reading": readings.fan_rpm(position),
            "ReadingUnits": "RPM",
            "LowerThresholdCritical": 600,
            "UpperThresholdCritical": None,
        }
        for position in range(6)
    ]


def _controls(readings: SimulatedReadings) -> list[Document]:
    """Returns the total power first, then two parts of it."""
    rows = (
        ("System Power Control", readings.watts, 2400),
        ("CPU Sub-system Power", readings.cpu_watts, None),
        ("Memory Sub-system Power", readings.memory_watts, None),
    )
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "PowerControl", position, name),
            "PowerConsumedWatts": round(watts, 1),
            "PowerCapacityWatts": capacity,
            "PowerLimit": {"LimitInWatts": None},
        }
        for position, (name, watts, capacity) in enumerate(rows)
    ]


def _voltages(readings: SimulatedReadings) -> list[Document]:
    rails = (("PS1 Voltage", 230.0), ("12V Rail", 12.1), ("5V Rail", 5.02), ("3.3V Rail", 3.31))
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "Voltages", position, name),
            "PhysicalContext": "VoltageRegulator" if position else "PowerSupply",
            "ReadingVolts": round(volts * (1 - 0.004 * readings.load), 3),
            "UpperThresholdCritical": round(volts * 1.1, 2),
            "LowerThresholdCritical": round(volts * 0.9, 2),
        }
        for position, (name, volts) in enumerate(rails)
    ]


def _supplies(readings: SimulatedReadings) -> list[Document]:
    return [
        {
            **parts.array_entry(f"{CHASSIS}/Power", "PowerSupplies", position, f"PS{position + 1} Status"),
            "PowerCapacityWatts": 1200,
            "PowerInputWatts": round(readings.watts / 2, 1),
            "PowerOutputWatts": round(readings.watts / 2 * readings.efficiency / 100, 1),
            "LastPowerOutputWatts": None,
            "EfficiencyPercent": round(readings.efficiency, 1),
            "LineInputVoltage": 230,
            "LineInputVoltageType": "AC240V",
            "Manufacturer": "DELL",
            "Model": "SIM PSU",
            "PartNumber": "SIM-PSU",
            "FirmwareVersion": "00.01",
            "SerialNumber": f"SIMPSU{readings.number:06d}{position}",
        }
        for position in range(2)
    ]


def _power(readings: SimulatedReadings) -> Document:
    arrays = {"PowerControl": _controls, "Voltages": _voltages, "PowerSupplies": _supplies}
    properties: dict[str, Any] = {name: make(readings) for name, make in arrays.items()}
    return resource(f"{CHASSIS}/Power", "Power.v1_7_1", **properties)


def _cpu(number: int) -> DocumentFactory:
    uri = f"{SYSTEM}/Processors/CPU.Socket.{number}"
    metrics = link(f"{uri}/ProcessorMetrics")
    constant = parts.processor(uri, f"CPU {number}", f"CPU.Socket.{number}", Metrics=metrics)
    return lambda readings: {**constant, "OperatingSpeedMHz": round(2000 + 1800 * readings.load)}


def _metrics(name: str, readings: SimulatedReadings) -> Document:
    celsius = {CPUS[0]: readings.cpu_celsius, GPU: readings.gpu_celsius}.get(name, readings.other_celsius)
    watts = 50 + 300 * readings.load if name == GPU else readings.cpu_watts / 2
    hits = {"CacheMetricsTotal": {"CurrentPeriod": {"HitRatio": round(0.97 - 0.1 * readings.load, 3)}}}
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


def _dimm_metrics(number: int, readings: SimulatedReadings) -> Document:
    return resource(
        f"{SYSTEM}/Memory/{DIMMS[number - 1]}/EnvironmentMetrics",
        "EnvironmentMetrics.v1_3_0",
        TemperatureCelsius={"Reading": round(readings.dimm_celsius(number), 1)},
        PowerWatts={"Reading": round(readings.memory_watts / FILLED, 2)},
    )


def _interface(name: str) -> Document:
    uri = f"{SYSTEM}/NetworkInterfaces/{name}"
    adapter_link = {"NetworkAdapter": link(f"{CHASSIS}/NetworkAdapters/{name}")}
    return resource(
        uri, "NetworkInterface.v1_2_0", Name=name, Description=NICS[name][1], Status=status(), Links=adapter_link
    )


def _storage() -> DocumentTree:
    """Returns a RAID controller with two SSDs and two HDDs."""
    names = [f"Disk.Bay.{bay}" for bay in range(4)]
    drives = {f"{STORAGE}/Drives/{name}": bay for bay, name in enumerate(names)}
    storage = resource(
        STORAGE,
        "Storage.v1_10_1",
        Name="Simulated RAID controller",
        Status=status(),
        StorageControllers=[parts.controller(STORAGE, "Simulated RAID controller")],
        Drives=[link(uri) for uri in drives],
    )
    tree = members(f"{SYSTEM}/Storage", "Storage", {"RAID.Slot.1-1": storage})
    return tree | {uri: parts.drive(uri, f"Disk in bay {bay}", spins=bay >= 2) for uri, bay in drives.items()}


def _processors() -> DocumentTree:
    uri = f"{SYSTEM}/Processors"
    resources: dict[str, DocumentSource] = {name: _cpu(number) for number, name in enumerate(CPUS, 1)}
    resources[GPU] = parts.gpu(f"{uri}/{GPU}", "GPU 1", Metrics=link(f"{uri}/{GPU}/ProcessorMetrics"))
    metrics: DocumentTree = {f"{name}/ProcessorMetrics": partial(_metrics, name) for name in resources}
    return members(uri, "Processor", resources, unlisted=metrics)


def _memory() -> DocumentTree:
    resources: DocumentTree = {name: _dimm(number) for number, name in enumerate(DIMMS, 1)}
    metrics: DocumentTree = {
        f"{name}/EnvironmentMetrics": partial(_dimm_metrics, number) for number, name in enumerate(DIMMS[:FILLED], 1)
    }
    return members(f"{SYSTEM}/Memory", "Memory", resources, unlisted=metrics)


MODEL: Final = BmcModel(
    name="dell",
    vendor="Dell",
    manager="iDRAC.Embedded.1",
    firmware="4.40.00.00",
    redfish_version="1.9.0",
    expand_levels=1,
    sessions_full_code="IDRAC.2.8.RAC0218",
    documents={
        **members(
            f"{ROOT}/Systems",
            "ComputerSystem",
            {
                "System.Embedded.1": parts.with_cpu_health(
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
                "System.Embedded.1": parts.with_cpu_health(
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
