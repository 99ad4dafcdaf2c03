"""Documents of server parts that several models share; the models add ids and links of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rackstream.simulators.model import (
    ABSENT_STATUS,
    NUMBER_PLACEHOLDER,
    UUID,
    Document,
    DocumentFactory,
    resource,
    status,
)
from rackstream.simulators.readings import CPU_CRITICAL_CELSIUS, CPU_WARNING_CELSIUS, SimulatedReadings

ReadingFunction = Callable[[SimulatedReadings], float]
Entries = Callable[[SimulatedReadings], list[Document]]
CPU: Final = "Simulated CPU, 32 cores"


def system(uri: str, maker: str, **properties: Any) -> Document:
    """Returns a System with two CPUs and 512 GiB."""
    defaults = {
        "SystemType": "Physical",
        "Manufacturer": maker,
        "Model": "Simulated server",
        "SerialNumber": f"SIM{NUMBER_PLACEHOLDER}",
        "PartNumber": "SIM-1U",
        "PowerState": "On",
        "BiosVersion": "1.0.0",
        "UUID": UUID,
        "Boot": {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideTarget": "None",
            "BootSourceOverrideMode": "UEFI",
            "UefiTargetBootSourceOverride": None,
        },
        "ProcessorSummary": {"Count": 2, "Model": CPU, "Status": status()},
        "MemorySummary": {"TotalSystemMemoryGiB": 512, "Status": status()},
        "Status": status(),
    }
    return resource(uri, "ComputerSystem.v1_20_0", **{**defaults, **properties})


def chassis(uri: str, maker: str, **properties: Any) -> Document:
    """Returns the Chassis of a server."""
    defaults = {
        "ChassisType": "RackMount",
        "Manufacturer": maker,
        "Model": "Simulated server",
        "SerialNumber": f"SIM{NUMBER_PLACEHOLDER}",
        "PartNumber": "SIM-1U",
        "Status": status(),
    }
    return resource(uri, "Chassis.v1_21_0", **{**defaults, **properties})


def with_cpu_health(document: Document) -> DocumentFactory:
    """Returns a document whose health is that of the first CPU."""
    return lambda readings: {**document, "Status": status(readings.cpu_health)}


def array_entry(uri: str, array: str, position: int, name: str) -> Document:
    """Returns the properties that all entries of the arrays of Thermal and Power have."""
    return {"@odata.id": f"{uri}#/{array}/{position}", "MemberId": str(position), "Name": name, "Status": status()}


def thermal(uri: str, temperatures: Entries, fans: Entries) -> DocumentFactory:
    """Returns a Thermal."""
    return lambda readings: resource(
        uri, "Thermal.v1_7_1", Id="Thermal", Temperatures=temperatures(readings), Fans=fans(readings)
    )


def temperature(entry: Document, context: str, celsius: float, limits: tuple[float, float, float]) -> Document:
    """Returns an entry of Thermal.Temperatures.

    Args:
        entry: Id and name.
        context: PhysicalContext.
        celsius: Current temperature.
        limits: Lower critical, warning and critical threshold.
    """
    lower, warning, critical = limits
    return {
        **entry,
        "PhysicalContext": context,
        "ReadingCelsius": round(celsius, 1),
        "LowerThresholdCritical": lower,
        "UpperThresholdNonCritical": warning,
        "UpperThresholdCritical": critical,
        "UpperThresholdFatal": None,
        "Status": status("Warning" if celsius >= warning else "OK"),
    }


CPU_LIMITS: Final = (3.0, CPU_WARNING_CELSIUS, CPU_CRITICAL_CELSIUS)
DIMM_LIMITS: Final = (3.0, 85.0, 95.0)
INLET_LIMITS: Final = (-7.0, 38.0, 42.0)
EXHAUST_LIMITS: Final = (3.0, 70.0, 75.0)


def processor(uri: str, name: str, socket: str, **properties: Any) -> Document:
    """Returns a CPU."""
    defaults = {
        "Name": name,
        "Socket": socket,
        "ProcessorType": "CPU",
        "ProcessorArchitecture": "x86",
        "InstructionSet": "x86-64",
        "Manufacturer": "Rackstream",
        "Model": CPU,
        "MaxSpeedMHz": 3800,
        "TotalCores": 32,
        "TotalThreads": 64,
        "Status": status(),
    }
    return resource(uri, "Processor.v1_20_0", **{**defaults, **properties})


def gpu(uri: str, name: str, **properties: Any) -> Document:
    """Returns a GPU."""
    defaults = {"Name": name, "ProcessorType": "GPU", "Manufacturer": "Rackstream", "Model": "Simulated GPU"}
    return resource(uri, "Processor.v1_20_0", **{**defaults, "Status": status(), **properties})


def dimm(uri: str, locator: str, **properties: Any) -> Document:
    """Returns a DIMM of 64 GiB."""
    defaults = {
        "Name": locator,
        "DeviceLocator": locator,
        "MemoryType": "DRAM",
        "MemoryDeviceType": "DDR5",
        "CapacityMiB": 65536,
        "OperatingSpeedMhz": 4800,
        "AllowedSpeedsMHz": [4400, 4800],
        "Manufacturer": "Rackstream",
        "PartNumber": "SIM-DIMM-64G",
        "SerialNumber": f"SIMDIMM{NUMBER_PLACEHOLDER}{locator[-2:].strip()}",
        "RankCount": 2,
        "DataWidthBits": 64,
        "BusWidthBits": 80,
        "Status": status(),
    }
    return resource(uri, "Memory.v1_20_0", **{**defaults, **properties})


def empty_slot(uri: str, locator: str, **properties: Any) -> Document:
    """Returns a slot without a DIMM."""
    return resource(
        uri, "Memory.v1_20_0", Name=locator, DeviceLocator=locator, Status=dict(ABSENT_STATUS), **properties
    )


def drive(uri: str, name: str, *, spins: bool = False, **properties: Any) -> Document:
    """Returns an SSD, or an HDD if it `spins`."""
    defaults = {
        "Name": name,
        "Manufacturer": "Rackstream",
        "Model": "SIM HDD 4 TB" if spins else "SIM SSD 960 GB",
        "SerialNumber": f"SIMDISK{NUMBER_PLACEHOLDER}{uri[-1]}",
        "CapacityBytes": 4_000_000_000_000 if spins else 960_000_000_000,
        "MediaType": "HDD" if spins else "SSD",
        "Protocol": "SATA",
        "RotationSpeedRPM": 7200 if spins else None,
        "FailurePredicted": False,
        "IndicatorLED": "Off",
        "Status": status(),
    }
    return resource(uri, "Drive.v1_20_0", **{**defaults, **properties})


def controller(uri: str, name: str, **properties: Any) -> Document:
    """Returns an entry of Storage.StorageControllers."""
    defaults = {
        "@odata.id": f"{uri}#/StorageControllers/0",
        "MemberId": "0",
        "Name": name,
        "Manufacturer": "Rackstream",
        "Model": "SIM RAID",
        "FirmwareVersion": "1.0.0",
        "SupportedDeviceProtocols": ["SAS", "SATA"],
        "Status": status(),
    }
    return {**defaults, **properties}


def adapter(uri: str, model: str, ports: int, **properties: Any) -> Document:
    """Returns a NetworkAdapter whose controller reports the number of ports."""
    defaults: Mapping[str, Any] = {
        "Manufacturer": "Rackstream",
        "Model": model,
        "Controllers": [{"ControllerCapabilities": {"NetworkPortCount": ports}}],
        "Status": status(),
    }
    return resource(uri, "NetworkAdapter.v1_11_0", **{"Name": uri.rpartition("/")[2], **defaults, **properties})
