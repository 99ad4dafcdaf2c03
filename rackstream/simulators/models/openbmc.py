"""Model of current bmcweb: no Thermal or Power; Sensors in pages, subsystems with metrics; `$expand` of six levels."""

from __future__ import annotations

from functools import partial
from typing import Final

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

MAKER: Final = "Rackstream"
SYSTEM: Final = f"{ROOT}/Systems/system"
CHASSIS: Final = f"{ROOT}/Chassis/Tray_0"
BOARD: Final = f"{ROOT}/Chassis/Board_0"
DIMMS: Final = tuple(f"dimm{number}" for number in range(8))
TEMPERATURE_SENSORS: Final = (
    SensorSpec(
        "temperature_inlet", "Inlet Temp", "Temperature", "Cel", lambda readings: readings.inlet_celsius, "Intake", 42
    ),
    SensorSpec(
        "temperature_exhaust",
        "Exhaust Temp",
        "Temperature",
        "Cel",
        lambda readings: readings.exhaust_celsius,
        "Exhaust",
        75,
    ),
)
POWER_SENSORS: Final = (
    SensorSpec("power_total", "Total Power", "Power", "W", lambda readings: readings.watts, "Chassis"),
    SensorSpec(
        "voltage_P12V", "P12V", "Voltage", "V", lambda readings: 12.1 - 0.05 * readings.load, "VoltageRegulator", 13.2
    ),
    SensorSpec(
        "voltage_P3V3", "P3V3", "Voltage", "V", lambda readings: 3.31 - 0.01 * readings.load, "VoltageRegulator", 3.6
    ),
)
BOARD_SENSORS: Final = (
    SensorSpec(
        "temperature_CPU_0", "CPU 0 Temp", "Temperature", "Cel", lambda readings: readings.cpu_celsius, "CPU", 100
    ),
    SensorSpec(
        "temperature_CPU_1", "CPU 1 Temp", "Temperature", "Cel", lambda readings: readings.other_celsius, "CPU", 100
    ),
    # Not a temperature but a margin, so its negative values are correct.
    SensorSpec(
        "temperature_CPU_0_TLimit",
        "CPU 0 TLimit",
        "Temperature",
        "Cel",
        lambda readings: readings.cpu_celsius - 110,
        "CPU",
    ),
    *(
        SensorSpec(
            f"temperature_{name}",
            f"{name} Temp",
            "Temperature",
            "Cel",
            partial(SimulatedReadings.dimm_celsius, number=number),
        )
        for number, name in enumerate(DIMMS, 1)
    ),
)


def _fan(uri: str, number: int, readings: SimulatedReadings) -> Document:
    rpm = readings.fan_rpm(number)
    return fan(uri, f"Fan {number}", {"Reading": readings.fan_percent(number), "SpeedRPM": rpm})


def _environment(uri: str, celsius: parts.ReadingFunction, watts: parts.ReadingFunction) -> DocumentSource:
    return lambda readings: resource(
        uri,
        "EnvironmentMetrics.v1_3_0",
        TemperatureCelsius={"Reading": round(celsius(readings), 2)},
        PowerWatts={"Reading": round(watts(readings), 2)},
    )


def _processors() -> DocumentTree:
    resources: dict[str, DocumentSource] = {}
    metrics: dict[str, DocumentSource] = {}
    for number in (0, 1):
        uri = f"{SYSTEM}/Processors/cpu{number}"
        metric_links = {"Metrics": link(f"{uri}/ProcessorMetrics"), **links(uri, "EnvironmentMetrics")}
        resources[f"cpu{number}"] = parts.processor(uri, "Processor", f"CPU_{number}", **metric_links)
        metrics[f"cpu{number}/ProcessorMetrics"] = partial(_processor_metrics, f"{uri}/ProcessorMetrics")
        metrics[f"cpu{number}/EnvironmentMetrics"] = _environment(
            f"{uri}/EnvironmentMetrics",
            (lambda readings: readings.other_celsius) if number else (lambda readings: readings.cpu_celsius),
            lambda readings: readings.cpu_watts / 2,
        )
    return members(f"{SYSTEM}/Processors", "Processor", resources, unlisted=metrics)


def _processor_metrics(uri: str, readings: SimulatedReadings) -> Document:
    return resource(
        uri, "ProcessorMetrics.v1_6_0", OperatingSpeedMHz=round(2000 + 1800 * readings.load), BandwidthPercent=35.0
    )


def _memory() -> DocumentTree:
    resources: dict[str, DocumentSource] = {}
    metrics: dict[str, DocumentSource] = {}
    for number, name in enumerate(DIMMS, 1):
        uri = f"{SYSTEM}/Memory/{name}"
        location = {"PartLocation": {"LocationType": "Slot", "ServiceLabel": f"DIMM {number}"}}
        metric_links = {"Metrics": link(f"{uri}/MemoryMetrics"), **links(uri, "EnvironmentMetrics")}
        module = parts.dimm(uri, f"DIMM {number}", Location=location, **metric_links)
        resources[name] = {key: value for key, value in module.items() if key != "DeviceLocator"}
        metrics[f"{name}/MemoryMetrics"] = resource(
            f"{uri}/MemoryMetrics",
            "MemoryMetrics.v1_7_0",
            HealthData={"DataLossDetected": False, "PredictedMediaLifeLeftPercent": 100},
        )
        metrics[f"{name}/EnvironmentMetrics"] = _environment(
            f"{uri}/EnvironmentMetrics",
            partial(SimulatedReadings.dimm_celsius, number=number),
            lambda readings: readings.memory_watts / 8,
        )
    return members(f"{SYSTEM}/Memory", "Memory", resources, unlisted=metrics)


def _storage() -> DocumentTree:
    uri = f"{SYSTEM}/Storage/1"
    drives = {
        f"1/Drives/{name}": parts.drive(f"{uri}/Drives/{name}", name, Protocol="NVMe") for name in ("nvme0", "nvme1")
    }
    controllers = members(
        f"{uri}/Controllers",
        "StorageController",
        {"0": resource(f"{uri}/Controllers/0", "StorageController.v1_6_0", Name="NVMe", Status=status())},
    )
    storage = resource(
        uri,
        "Storage.v1_15_0",
        Status=status(),
        Controllers=link(f"{uri}/Controllers"),
        Drives=[link(f"{SYSTEM}/Storage/{name}") for name in drives],
    )
    return members(f"{SYSTEM}/Storage", "Storage", {"1": storage}, unlisted=drives) | controllers


def _adapters() -> DocumentTree:
    """Returns adapters whose number of ports only follows from their collection of ports."""
    uri = f"{BOARD}/NetworkAdapters"
    adapters: dict[str, DocumentSource] = {}
    ports: DocumentTree = {}
    for name in ("NIC_0", "NIC_1"):
        metric_links = links(f"{uri}/{name}", "Ports")
        adapters[name] = parts.adapter(f"{uri}/{name}", "Simulated 400 GbE", 1, Controllers=[], **metric_links)
        port = resource(f"{uri}/{name}/Ports/0", "Port.v1_9_0", CurrentSpeedGbps=400, LinkStatus="LinkUp")
        ports = {**ports, **members(f"{uri}/{name}/Ports", "Port", {"0": port})}
    return {**members(uri, "NetworkAdapter", adapters), **ports}


_SYSTEM: Final = parts.system(
    SYSTEM,
    MAKER,
    **links(SYSTEM, "Processors", "Memory", "Storage"),
    Links={"Chassis": [link(CHASSIS), link(BOARD)]},
)
_TRAY: Final = parts.chassis(
    CHASSIS,
    MAKER,
    **links(CHASSIS, "ThermalSubsystem", "PowerSubsystem", "Sensors", "EnvironmentMetrics"),
    Links={"ComputerSystems": [link(SYSTEM)], "Contains": [link(BOARD)]},
)
_BOARD: Final = parts.chassis(
    BOARD,
    MAKER,
    ChassisType="Module",
    **links(BOARD, "ThermalSubsystem", "Sensors", "NetworkAdapters"),
    Links={"ComputerSystems": [link(SYSTEM)], "ContainedBy": link(CHASSIS)},
)
MODEL: Final = BmcModel(
    name="openbmc",
    vendor=None,
    manager="bmc",
    firmware="2.15.0-dev",
    expand_levels=6,
    etags=True,
    page_size=6,
    documents={
        **members(f"{ROOT}/Systems", "ComputerSystem", {"system": _SYSTEM}),
        **members(f"{ROOT}/Chassis", "Chassis", {"Board_0": _BOARD, "Tray_0": _TRAY}),
        **sensors(CHASSIS, (*TEMPERATURE_SENSORS, *POWER_SENSORS)),
        **sensors(BOARD, BOARD_SENSORS),
        **thermal_subsystem(
            CHASSIS,
            TEMPERATURE_SENSORS,
            {
                f"fan{number}": partial(_fan, f"{CHASSIS}/ThermalSubsystem/Fans/fan{number}", number)
                for number in range(4)
            },
        ),
        **thermal_subsystem(BOARD, BOARD_SENSORS, {}),
        **power_subsystem(CHASSIS, {f"psu{n}": {"SerialNumber": f"SIMPSU{NUMBER_PLACEHOLDER}{n}"} for n in range(2)}),
        f"{CHASSIS}/EnvironmentMetrics": lambda readings: resource(
            f"{CHASSIS}/EnvironmentMetrics",
            "EnvironmentMetrics.v1_3_0",
            PowerWatts={"DataSourceUri": f"{CHASSIS}/Sensors/power_total", "Reading": round(readings.watts, 1)},
        ),
        **_processors(),
        **_memory(),
        **_adapters(),
        **_storage(),
    },
)
