"""As bmcweb of today: no Thermal, no Power; Sensors in pages, subsystems and metrics; `$expand` of six levels."""

from __future__ import annotations

from functools import partial
from typing import Final

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

MAKER: Final = "Rackstream"
SYSTEM: Final = f"{ROOT}/Systems/system"
CHASSIS: Final = f"{ROOT}/Chassis/Tray_0"
BOARD: Final = f"{ROOT}/Chassis/Board_0"
DIMMS: Final = tuple(f"dimm{number}" for number in range(8))
WARM: Final = (
    Line("temperature_inlet", "Inlet Temp", "Temperature", "Cel", lambda now: now.inlet_celsius, "Intake", 42),
    Line("temperature_exhaust", "Exhaust Temp", "Temperature", "Cel", lambda now: now.exhaust_celsius, "Exhaust", 75),
)
POWERED: Final = (
    Line("power_total", "Total Power", "Power", "W", lambda now: now.watts, "Chassis"),
    Line("voltage_P12V", "P12V", "Voltage", "V", lambda now: 12.1 - 0.05 * now.load, "VoltageRegulator", 13.2),
    Line("voltage_P3V3", "P3V3", "Voltage", "V", lambda now: 3.31 - 0.01 * now.load, "VoltageRegulator", 3.6),
)
ON_BOARD: Final = (
    Line("temperature_CPU_0", "CPU 0 Temp", "Temperature", "Cel", lambda now: now.cpu_celsius, "CPU", 100),
    Line("temperature_CPU_1", "CPU 1 Temp", "Temperature", "Cel", lambda now: now.other_celsius, "CPU", 100),
    # No temperature but a margin: it is negative, and right.
    Line("temperature_CPU_0_TLimit", "CPU 0 TLimit", "Temperature", "Cel", lambda now: now.cpu_celsius - 110, "CPU"),
    *(
        Line(f"temperature_{name}", f"{name} Temp", "Temperature", "Cel", partial(Moment.dimm_celsius, number=number))
        for number, name in enumerate(DIMMS, 1)
    ),
)


def _fan(uri: str, number: int, moment: Moment) -> Document:
    rpm = moment.fan_rpm(number)
    return fan(uri, f"Fan {number}", {"Reading": moment.fan_percent(number), "SpeedRPM": rpm})


def _environment(uri: str, celsius: parts.Reading, watts: parts.Reading) -> Part:
    return lambda moment: resource(
        uri,
        "EnvironmentMetrics.v1_3_0",
        TemperatureCelsius={"Reading": round(celsius(moment), 2)},
        PowerWatts={"Reading": round(watts(moment), 2)},
    )


def _processors() -> Parts:
    listed: dict[str, Part] = {}
    beside: dict[str, Part] = {}
    for number in (0, 1):
        uri = f"{SYSTEM}/Processors/cpu{number}"
        linked = {"Metrics": link(f"{uri}/ProcessorMetrics"), **links(uri, "EnvironmentMetrics")}
        listed[f"cpu{number}"] = parts.processor(uri, "Processor", f"CPU_{number}", **linked)
        beside[f"cpu{number}/ProcessorMetrics"] = partial(_processor_metrics, f"{uri}/ProcessorMetrics")
        beside[f"cpu{number}/EnvironmentMetrics"] = _environment(
            f"{uri}/EnvironmentMetrics",
            (lambda now: now.other_celsius) if number else (lambda now: now.cpu_celsius),
            lambda now: now.cpu_watts / 2,
        )
    return members(f"{SYSTEM}/Processors", "Processor", listed, unlisted=beside)


def _processor_metrics(uri: str, moment: Moment) -> Document:
    return resource(
        uri, "ProcessorMetrics.v1_6_0", OperatingSpeedMHz=round(2000 + 1800 * moment.load), BandwidthPercent=35.0
    )


def _memory() -> Parts:
    listed: dict[str, Part] = {}
    beside: dict[str, Part] = {}
    for number, name in enumerate(DIMMS, 1):
        uri = f"{SYSTEM}/Memory/{name}"
        place = {"PartLocation": {"LocationType": "Slot", "ServiceLabel": f"DIMM {number}"}}
        linked = {"Metrics": link(f"{uri}/MemoryMetrics"), **links(uri, "EnvironmentMetrics")}
        whole = parts.dimm(uri, f"DIMM {number}", Location=place, **linked)
        listed[name] = {key: value for key, value in whole.items() if key != "DeviceLocator"}
        beside[f"{name}/MemoryMetrics"] = resource(
            f"{uri}/MemoryMetrics",
            "MemoryMetrics.v1_7_0",
            HealthData={"DataLossDetected": False, "PredictedMediaLifeLeftPercent": 100},
        )
        beside[f"{name}/EnvironmentMetrics"] = _environment(
            f"{uri}/EnvironmentMetrics", partial(Moment.dimm_celsius, number=number), lambda now: now.memory_watts / 8
        )
    return members(f"{SYSTEM}/Memory", "Memory", listed, unlisted=beside)


def _storage() -> Parts:
    uri = f"{SYSTEM}/Storage/1"
    drives = {
        f"1/Drives/{name}": parts.drive(f"{uri}/Drives/{name}", name, Protocol="NVMe") for name in ("nvme0", "nvme1")
    }
    controllers = members(
        f"{uri}/Controllers",
        "StorageController",
        {"0": resource(f"{uri}/Controllers/0", "StorageController.v1_6_0", Name="NVMe", Status=status())},
    )
    held = resource(
        uri,
        "Storage.v1_15_0",
        Status=status(),
        Controllers=link(f"{uri}/Controllers"),
        Drives=[link(f"{SYSTEM}/Storage/{name}") for name in drives],
    )
    return members(f"{SYSTEM}/Storage", "Storage", {"1": held}, unlisted=drives) | controllers


def _adapters() -> Parts:
    """Whose ports are counted in their collection alone."""
    uri = f"{BOARD}/NetworkAdapters"
    found: dict[str, Part] = {}
    ports: Parts = {}
    for name in ("NIC_0", "NIC_1"):
        linked = links(f"{uri}/{name}", "Ports")
        found[name] = parts.adapter(f"{uri}/{name}", "Simulated 400 GbE", 1, Controllers=[], **linked)
        port = resource(f"{uri}/{name}/Ports/0", "Port.v1_9_0", CurrentSpeedGbps=400, LinkStatus="LinkUp")
        ports = {**ports, **members(f"{uri}/{name}/Ports", "Port", {"0": port})}
    return {**members(uri, "NetworkAdapter", found), **ports}


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
SHAPE: Final = Shape(
    name="openbmc",
    vendor=None,
    manager="bmc",
    firmware="2.15.0-dev",
    expand=6,
    etags=True,
    page=6,
    documents={
        **members(f"{ROOT}/Systems", "ComputerSystem", {"system": _SYSTEM}),
        **members(f"{ROOT}/Chassis", "Chassis", {"Board_0": _BOARD, "Tray_0": _TRAY}),
        **sensors(CHASSIS, (*WARM, *POWERED)),
        **sensors(BOARD, ON_BOARD),
        **thermal_subsystem(
            CHASSIS,
            WARM,
            {
                f"fan{number}": partial(_fan, f"{CHASSIS}/ThermalSubsystem/Fans/fan{number}", number)
                for number in range(4)
            },
        ),
        **thermal_subsystem(BOARD, ON_BOARD, {}),
        **power_subsystem(CHASSIS, {f"psu{n}": {"SerialNumber": f"SIMPSU{NUMBER}{n}"} for n in range(2)}),
        f"{CHASSIS}/EnvironmentMetrics": lambda moment: resource(
            f"{CHASSIS}/EnvironmentMetrics",
            "EnvironmentMetrics.v1_3_0",
            PowerWatts={"DataSourceUri": f"{CHASSIS}/Sensors/power_total", "Reading": round(moment.watts, 1)},
        ),
        **_processors(),
        **_memory(),
        **_adapters(),
        **_storage(),
    },
)
