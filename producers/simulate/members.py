"""The simulated BMC's processors, DIMMs, network adapters and storage, as documents. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from producers.simulate.moment import CHASSIS, SYSTEM, Document, Moment, collection, link, status

Make = Callable[[Moment], Document]
CPUS: Final = ("CPU.Socket.1", "CPU.Socket.2")
GPU: Final = "Video.Slot.1"
DIMMS: Final = tuple(f"DIMM.Socket.A{number}" for number in range(1, 11))
FILLED: Final = 8
"""The last two slots are empty."""
NICS: Final = {"NIC.Embedded.1": (2, "Simulated 10 GbE, 2 ports"), "NIC.Slot.2": (1, "Simulated 100 GbE, 1 port")}
"""Id → ports and model."""
STORAGE: Final = f"{SYSTEM}/Storage/RAID.Slot.1"
DRIVES: Final = tuple(f"Disk.Bay.{bay}" for bay in range(4))
ADAPTERS: Final = f"{CHASSIS}/NetworkAdapters"


def _cpu(name: str, moment: Moment) -> Document:
    number = CPUS.index(name) + 1
    uri = f"{SYSTEM}/Processors/{name}"
    return {
        "@odata.id": uri,
        "@odata.type": "#Processor.v1_20_0.Processor",
        "Id": name,
        "Name": f"CPU {number}",
        "Socket": f"CPU {number}",
        "ProcessorType": "CPU",
        "ProcessorArchitecture": "x86",
        "InstructionSet": "x86-64",
        "Manufacturer": "Rackstream",
        "Model": "Simulated CPU, 32 cores",
        "MaxSpeedMHz": 3800,
        "OperatingSpeedMHz": round(2000 + 1800 * moment.load),
        "TotalCores": 32,
        "TotalThreads": 64,
        "Status": status(),
        "Metrics": link(f"{uri}/ProcessorMetrics"),
    }


def _gpu(_: Moment) -> Document:
    uri = f"{SYSTEM}/Processors/{GPU}"
    return {
        "@odata.id": uri,
        "@odata.type": "#Processor.v1_20_0.Processor",
        "Id": GPU,
        "Name": "GPU 1",
        "ProcessorType": "GPU",
        "Manufacturer": "Rackstream",
        "Model": "Simulated GPU",
        "Status": status(),
        "Metrics": link(f"{uri}/ProcessorMetrics"),
    }


def _metrics(name: str, moment: Moment) -> Document:
    celsius = {CPUS[0]: moment.cpu_celsius, GPU: 40 + 40 * moment.load}.get(name, 42 + 20 * moment.load)
    watts = 50 + 300 * moment.load if name == GPU else 30 + 110 * moment.load
    hits = 0.97 - 0.1 * moment.load
    return {
        "@odata.id": f"{SYSTEM}/Processors/{name}/ProcessorMetrics",
        "@odata.type": "#ProcessorMetrics.v1_6_0.ProcessorMetrics",
        "Id": "ProcessorMetrics",
        "TemperatureCelsius": round(celsius, 1),
        "ConsumedPowerWatt": round(watts, 1),
        **({} if name == GPU else {"CacheMetricsTotal": {"CurrentPeriod": {"HitRatio": round(hits, 3)}}}),
    }


def _dimm(name: str, _: Moment) -> Document:
    number = DIMMS.index(name) + 1
    uri = f"{SYSTEM}/Memory/{name}"
    slot = {
        "@odata.id": uri,
        "@odata.type": "#Memory.v1_20_0.Memory",
        "Id": name,
        "Name": f"DIMM A{number}",
        "DeviceLocator": f"DIMM A{number}",
    }
    if number > FILLED:
        return {**slot, "CapacityMiB": 0, "Status": {"State": "Absent", "Health": None}}
    return {
        **slot,
        "MemoryType": "DRAM",
        "MemoryDeviceType": "DDR5",
        "CapacityMiB": 65536,
        "OperatingSpeedMhz": 4800,
        "AllowedSpeedsMHz": [4400, 4800],
        "Manufacturer": "Rackstream",
        "PartNumber": "SIM-DIMM-64G",
        "SerialNumber": f"SIMDIMM{number:02d}",
        "RankCount": 2,
        "DataWidthBits": 64,
        "BusWidthBits": 80,
        "Status": status(),
        "EnvironmentMetrics": link(f"{uri}/EnvironmentMetrics"),
    }


def _dimm_metrics(name: str, moment: Moment) -> Document:
    number = DIMMS.index(name) + 1
    return {
        "@odata.id": f"{SYSTEM}/Memory/{name}/EnvironmentMetrics",
        "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
        "Id": "EnvironmentMetrics",
        "TemperatureCelsius": {"Reading": round(34 + number / 2 + 14 * moment.load, 1)},
        "PowerWatts": {"Reading": round(3 + 4 * moment.load, 2)},
    }


def _interface(name: str, _: Moment) -> Document:
    return {
        "@odata.id": f"{SYSTEM}/NetworkInterfaces/{name}",
        "@odata.type": "#NetworkInterface.v1_2_0.NetworkInterface",
        "Id": name,
        "Name": name,
        "Description": NICS[name][1],
        "Status": status(),
        "Links": {"NetworkAdapter": link(f"{ADAPTERS}/{name}")},
    }


def _adapter(name: str, _: Moment) -> Document:
    ports, model = NICS[name]
    return {
        "@odata.id": f"{ADAPTERS}/{name}",
        "@odata.type": "#NetworkAdapter.v1_11_0.NetworkAdapter",
        "Id": name,
        "Name": name,
        "Manufacturer": "Rackstream",
        "Model": model,
        "Controllers": [{"ControllerCapabilities": {"NetworkPortCount": ports}}],
        "Status": status(),
    }


def _storage(_: Moment) -> Document:
    controller = {
        "@odata.id": f"{STORAGE}#/StorageControllers/0",
        "MemberId": "0",
        "Name": "Simulated RAID controller",
        "Manufacturer": "Rackstream",
        "Model": "SIM RAID",
        "FirmwareVersion": "1.0.0",
        "SupportedDeviceProtocols": ["SAS", "SATA"],
        "Status": status(),
    }
    return {
        "@odata.id": STORAGE,
        "@odata.type": "#Storage.v1_10_1.Storage",
        "Id": "RAID.Slot.1",
        "Name": "Simulated RAID controller",
        "Status": status(),
        "StorageControllers": [controller],
        "Drives": [link(f"{STORAGE}/Drives/{name}") for name in DRIVES],
    }


def _drive(name: str, moment: Moment) -> Document:
    """Two SSDs, then two HDDs."""
    bay = DRIVES.index(name)
    spins = bay >= 2
    return {
        "@odata.id": f"{STORAGE}/Drives/{name}",
        "@odata.type": "#Drive.v1_20_0.Drive",
        "Id": name,
        "Name": f"Disk in bay {bay}",
        "Manufacturer": "Rackstream",
        "Model": "SIM HDD 4 TB" if spins else "SIM SSD 960 GB",
        "SerialNumber": f"SIMDISK{moment.number:06d}{bay}",
        "CapacityBytes": 4_000_000_000_000 if spins else 960_000_000_000,
        "MediaType": "HDD" if spins else "SSD",
        "Protocol": "SATA",
        "RotationSpeedRPM": 7200 if spins else None,
        "FailurePredicted": False,
        "IndicatorLED": "Off",
        "Status": status(),
    }


def _each(
    prefix: str, make: Callable[[str, Moment], Document], names: tuple[str, ...], end: str = ""
) -> dict[str, Make]:
    return {f"{prefix}/{name}{end}": partial(make, name) for name in names}


def _listed(uri: str, kind: str, names: tuple[str, ...]) -> dict[str, Make]:
    return {uri: lambda _: collection(uri, kind, names)}


DOCUMENTS: Final[Mapping[str, Make]] = {
    **_listed(f"{SYSTEM}/Processors", "Processor", (*CPUS, GPU)),
    **_each(f"{SYSTEM}/Processors", _cpu, CPUS),
    f"{SYSTEM}/Processors/{GPU}": _gpu,
    **_each(f"{SYSTEM}/Processors", _metrics, (*CPUS, GPU), "/ProcessorMetrics"),
    **_listed(f"{SYSTEM}/Memory", "Memory", DIMMS),
    **_each(f"{SYSTEM}/Memory", _dimm, DIMMS),
    **_each(f"{SYSTEM}/Memory", _dimm_metrics, DIMMS[:FILLED], "/EnvironmentMetrics"),
    **_listed(f"{SYSTEM}/NetworkInterfaces", "NetworkInterface", tuple(NICS)),
    **_each(f"{SYSTEM}/NetworkInterfaces", _interface, tuple(NICS)),
    **_listed(ADAPTERS, "NetworkAdapter", tuple(NICS)),
    **_each(ADAPTERS, _adapter, tuple(NICS)),
    **_listed(f"{SYSTEM}/Storage", "Storage", ("RAID.Slot.1",)),
    STORAGE: _storage,
    **_each(f"{STORAGE}/Drives", _drive, DRIVES),
}
"""Path → its document."""
