"""Parts of servers as documents: what several shapes build in alike. Their ids and links are the shapes' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rackstream.simulators.model import ABSENT, NUMBER, UUID, Document, Make, resource, status
from rackstream.simulators.readings import CPU_CRITICAL_CELSIUS, CPU_WARNING_CELSIUS, Moment

Reading = Callable[[Moment], float]
Entries = Callable[[Moment], list[Document]]
CPU: Final = "Simulated CPU, 32 cores"


def system(uri: str, maker: str, **properties: Any) -> Document:
    """A server with two CPUs and 512 GiB."""
    usual = {
        "SystemType": "Physical",
        "Manufacturer": maker,
        "Model": "Simulated server",
        "SerialNumber": f"SIM{NUMBER}",
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
    return resource(uri, "ComputerSystem.v1_20_0", **{**usual, **properties})


def chassis(uri: str, maker: str, **properties: Any) -> Document:
    """The server's case."""
    usual = {
        "ChassisType": "RackMount",
        "Manufacturer": maker,
        "Model": "Simulated server",
        "SerialNumber": f"SIM{NUMBER}",
        "PartNumber": "SIM-1U",
        "Status": status(),
    }
    return resource(uri, "Chassis.v1_21_0", **{**usual, **properties})


def warm(document: Document) -> Make:
    """The same, with the health of the first CPU for its own."""
    return lambda moment: {**document, "Status": status(moment.cpu_health)}


def entry(uri: str, array: str, position: int, name: str) -> Document:
    """What the entries of an array of Thermal and Power have."""
    return {"@odata.id": f"{uri}#/{array}/{position}", "MemberId": str(position), "Name": name, "Status": status()}


def thermal(uri: str, temperatures: Entries, fans: Entries) -> Make:
    """A Thermal."""
    return lambda moment: resource(
        uri, "Thermal.v1_7_1", Id="Thermal", Temperatures=temperatures(moment), Fans=fans(moment)
    )


def temperature(head: Document, context: str, celsius: float, limits: tuple[float, float, float]) -> Document:
    """An entry of Thermal.Temperatures; `limits` are lower critical, warning and critical."""
    low, warning, critical = limits
    return {
        **head,
        "PhysicalContext": context,
        "ReadingCelsius": round(celsius, 1),
        "LowerThresholdCritical": low,
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
    """A CPU."""
    usual = {
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
    return resource(uri, "Processor.v1_20_0", **{**usual, **properties})


def gpu(uri: str, name: str, **properties: Any) -> Document:
    """A GPU."""
    usual = {"Name": name, "ProcessorType": "GPU", "Manufacturer": "Rackstream", "Model": "Simulated GPU"}
    return resource(uri, "Processor.v1_20_0", **{**usual, "Status": status(), **properties})


def dimm(uri: str, locator: str, **properties: Any) -> Document:
    """A DIMM of 64 GiB in its slot."""
    usual = {
        "Name": locator,
        "DeviceLocator": locator,
        "MemoryType": "DRAM",
        "MemoryDeviceType": "DDR5",
        "CapacityMiB": 65536,
        "OperatingSpeedMhz": 4800,
        "AllowedSpeedsMHz": [4400, 4800],
        "Manufacturer": "Rackstream",
        "PartNumber": "SIM-DIMM-64G",
        "SerialNumber": f"SIMDIMM{NUMBER}{locator[-2:].strip()}",
        "RankCount": 2,
        "DataWidthBits": 64,
        "BusWidthBits": 80,
        "Status": status(),
    }
    return resource(uri, "Memory.v1_20_0", **{**usual, **properties})


def empty_slot(uri: str, locator: str, **properties: Any) -> Document:
    """A slot without a DIMM."""
    return resource(uri, "Memory.v1_20_0", Name=locator, DeviceLocator=locator, Status=dict(ABSENT), **properties)


def drive(uri: str, name: str, *, spins: bool = False, **properties: Any) -> Document:
    """An SSD, or an HDD."""
    usual = {
        "Name": name,
        "Manufacturer": "Rackstream",
        "Model": "SIM HDD 4 TB" if spins else "SIM SSD 960 GB",
        "SerialNumber": f"SIMDISK{NUMBER}{uri[-1]}",
        "CapacityBytes": 4_000_000_000_000 if spins else 960_000_000_000,
        "MediaType": "HDD" if spins else "SSD",
        "Protocol": "SATA",
        "RotationSpeedRPM": 7200 if spins else None,
        "FailurePredicted": False,
        "IndicatorLED": "Off",
        "Status": status(),
    }
    return resource(uri, "Drive.v1_20_0", **{**usual, **properties})


def controller(uri: str, name: str, **properties: Any) -> Document:
    """An entry of Storage.StorageControllers."""
    usual = {
        "@odata.id": f"{uri}#/StorageControllers/0",
        "MemberId": "0",
        "Name": name,
        "Manufacturer": "Rackstream",
        "Model": "SIM RAID",
        "FirmwareVersion": "1.0.0",
        "SupportedDeviceProtocols": ["SAS", "SATA"],
        "Status": status(),
    }
    return {**usual, **properties}


def adapter(uri: str, model: str, ports: int, **properties: Any) -> Document:
    """A network adapter whose controller says how many ports it has."""
    usual: Mapping[str, Any] = {
        "Manufacturer": "Rackstream",
        "Model": model,
        "Controllers": [{"ControllerCapabilities": {"NetworkPortCount": ports}}],
        "Status": status(),
    }
    return resource(uri, "NetworkAdapter.v1_11_0", **{"Name": uri.rpartition("/")[2], **usual, **properties})
