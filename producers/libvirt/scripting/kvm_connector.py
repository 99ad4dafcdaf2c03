"""The scripting API for one hypervisor (docs/python.md).

Reads domains call by call, and reports unknown values as 0. The producer uses `LibvirtReader`, whose records have null
and a cause instead of 0; both convert libvirt's answers by the same code (`mapping`, `device_cache`).

Threads may share a connector; they wait for each other. A call takes `timeout` seconds at most; a domain that hangs
costs that once, and its values are 0 until it answers (`caller`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

import structlog

from producers.libvirt import mapping
from producers.libvirt.bulk_stats import ACTIVE, NOWAIT
from producers.libvirt.connection import DomainGone, VirDomain
from producers.libvirt.device_cache import NO_NIC_METADATA, DeviceCache, DiskDevice, DomainDevices, parse_domain_xml
from producers.libvirt.device_stats import CallResults, domain_from_calls
from producers.libvirt.scripting.caller import LibvirtCaller, stat_owner
from producers.libvirt.settings import LibvirtSettings
from producers.reader import Problems

if TYPE_CHECKING:
    from schemas.records import Domain, DomainDisk, DomainNic

log = structlog.get_logger()
LIBVIRT_TIMEOUT: Final = 30.0
"""Timeout of one call, in seconds."""
STATES: Final = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
"""Names of virDomainState, by number."""
NIC_FIELDS: Final = tuple(name for name, _ in mapping.NIC_STATS)
DISK_FIELDS: Final = tuple(name for name, _ in mapping.DISK_STATS)
MEMORY_FIELDS: Final = tuple(
    name for name, _ in mapping.DOMAIN_STATS if name.startswith("mem") and not name.startswith("memory_")
)
CPU_FIELDS: Final = ("timeusr", "timesys")
VM_FIELDS: Final = {
    "state": "state",
    "cpu_count": "cpus",
    "memory_max": "memory_max_kb",
    "memory_used": "memory_used_kb",
    "cputime": "cputime",
}
"""Key of `get_live_vms` → field of the record."""
CPU_GROUPS: Final = 1 | 2
"""STATE, CPU_TOTAL of virDomainStatsTypes."""
NO_RESULTS: Final = CallResults(info=None, state=None, memory=None, cpu=None)


class KVMConnector:
    """Reads the active domains of one libvirt connection and their statistics.

    Connects at first use.

    Args:
        uri: libvirt connection URI.
        timeout: Timeout of one call, in seconds.
        device_cache_ttl: Seconds for which a domain's devices are cached; default: the environment variable
            `DEVICE_CACHE_TTL`, else 300.
        clock: Monotonic clock, in seconds.
    """

    def __init__(
        self,
        uri: str,
        timeout: float = LIBVIRT_TIMEOUT,
        *,
        device_cache_ttl: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        ttl_s = LibvirtSettings.read().device_cache_ttl if device_cache_ttl is None else device_cache_ttl
        self._device_cache = DeviceCache(ttl_s, clock)
        self._caller = LibvirtCaller(uri, timeout)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    @property
    def timeout(self) -> float:
        """Timeout of one call, in seconds."""
        return self._caller.timeout_s

    def connect(self) -> bool:
        """Opens the connection. Returns False, and logs the reason, if that fails.

        Raises:
            Misconfigured: libvirt-python is not installed.
        """
        try:
            self._caller.call_connection(lambda _: None)
        except (ConnectionError, TimeoutError) as error:
            log.warning("not connected to libvirt", reason=str(error))
            return False
        return True

    def disconnect(self) -> None:
        """Closes the connection; the next call opens another."""
        self._caller.close()

    def is_connected(self) -> bool:
        """True if the connection is open, as far as the client library can tell."""
        return self._caller.is_open

    def get_live_vms(self) -> list[dict[str, Any]]:
        """Lists the active domains.

        Returns:
            Per domain: `id` (libvirt's), `name`, `uuid`, `state` (a word), `cpu_count`, `memory_max` and `memory_used`
            in KiB, `cputime` in ns (virDomainGetInfo), and `dom`, the virDomain that the other methods take.

        Raises:
            ConnectionError: There is no connection; an empty list would mean that there are no domains.
            TimeoutError: libvirt did not answer in time.
            Misconfigured: libvirt-python is not installed.
        """
        with self._caller.lock:
            vms = []
            for dom in self._caller.call_connection(lambda handle: handle.listAllDomains(ACTIVE)):
                try:
                    info = self._caller.call(dom, "info")
                except DomainGone:
                    continue
                stats = self._domain_stats(dom, replace(NO_RESULTS, info=info), VM_FIELDS.values())
                vm = {"id": dom.ID(), "name": dom.name(), "uuid": dom.UUIDString()}
                vm |= {key: stats[field] for key, field in VM_FIELDS.items()} | {"dom": dom}
                vm["state"] = STATES[vm["state"]] if vm["state"] < len(STATES) else "unknown"
                vms.append(vm)
            self._device_cache.retain((vm["uuid"], vm["id"]) for vm in vms)
            self._caller.warnings.retain({vm["uuid"] for vm in vms})
            return vms

    def get_devices_for_vm(self, dom: VirDomain) -> tuple[list[str], list[str]]:
        """Returns the names of a domain's NICs and disks, cached.

        NICs go by target device, else MAC; disks by target, without CD-ROMs.
        """
        with self._caller.lock:
            devices = self._device_cache.get((dom.UUIDString(), dom.ID()), (), lambda: self._read_devices(dom))
        devices = devices or DomainDevices()
        return list(devices.nics), [name for name, disk in devices.disks.items() if disk.kind == "disk"]

    def get_interface_stats(self, dom: VirDomain, iface_name: str) -> dict[str, int]:
        """Returns the counters of a NIC (virDomainInterfaceStats).

        `rxbytes rxpackets rxerrors rxdrops txbytes txpackets txerrors txdrops`; rx is received by the guest.
        """
        result = self._caller.call_or_warn(dom, "interfaceStats", iface_name)
        devices = DomainDevices(nics={iface_name: NO_NIC_METADATA})
        record, problems = self._record(dom, replace(NO_RESULTS, nics={iface_name: result}), devices)
        return self._values(dom, record["nics"][0], NIC_FIELDS, problems, "nics.")

    def get_block_stats(self, dom: VirDomain, block_name: str) -> dict[str, int]:
        """Returns the counters of a disk (virDomainBlockStats).

        `rd_req rd_bytes wr_reqs wr_bytes errors`.
        """
        result = self._caller.call_or_warn(dom, "blockStats", block_name)
        devices = DomainDevices(disks={block_name: DiskDevice()})
        record, problems = self._record(dom, replace(NO_RESULTS, disks={block_name: result}), devices)
        return self._values(dom, record["disks"][0], DISK_FIELDS, problems, "disks.")

    def get_memory_stats(self, dom: VirDomain) -> dict[str, int]:
        """Returns `memactual`, `memrss`, … `memdisk_cache`, in KiB (virDomainMemoryStats).

        `memmajor_fault` and `memminor_fault` are counts; memactual is virDomainGetInfo's, as in the producer's records.
        """
        info, memory = self._caller.call_or_warn(dom, "info"), self._caller.call_or_warn(dom, "memoryStats")
        return self._domain_stats(dom, replace(NO_RESULTS, info=info, memory=memory), MEMORY_FIELDS)

    def get_cpu_stats(self, dom: VirDomain) -> dict[str, int]:
        """Returns `timeusr` and `timesys`, cumulative ns over all CPUs."""
        result = self._caller.call_or_warn(dom, "getCPUStats", function=_cpu_times)
        return self._domain_stats(dom, replace(NO_RESULTS, cpu=result), CPU_FIELDS)

    def _domain_stats(self, dom: VirDomain, results: CallResults, fields: Collection[str]) -> dict[str, int]:
        record, problems = self._record(dom, results, DomainDevices())
        return self._values(dom, record, fields, problems)

    def _record(self, dom: VirDomain, results: CallResults, devices: DomainDevices) -> tuple[Domain, Problems]:
        """Converts results by the code that makes the producer's records."""
        problems = Problems()
        identity = mapping.DomainIdentity(dom.name(), dom.UUIDString(), dom.ID())
        return domain_from_calls(identity, results, devices, problems), problems

    def _values(
        self,
        dom: VirDomain,
        part: Domain | DomainNic | DomainDisk,
        fields: Collection[str],
        problems: Problems,
        prefix: str = "",
    ) -> dict[str, int]:
        """Selects fields of a record or device; unknown values are 0, after a warning."""
        values = cast("Mapping[str, int | None]", part)
        owner = stat_owner(dom, *([values["device"]] if prefix else []))
        causes = {field.rpartition(".")[2]: (field, cause) for field, cause in problems.counts}
        for field in fields:
            if field in causes:
                self._caller.warnings.add(*causes[field], owner, dom.name())
            elif values[field] is not None:
                self._caller.warnings.resolve(prefix + field, owner)
        return {field: values[field] or 0 for field in fields}

    def _read_devices(self, dom: VirDomain) -> DomainDevices | None:
        xml = self._caller.call_or_warn(dom, "XMLDesc")
        if xml is None:
            return None
        try:
            return parse_domain_xml(xml)
        except ValueError:
            self._caller.warnings.add("XMLDesc", "not XML", stat_owner(dom), dom.name())
            return None


def _cpu_times(domain: VirDomain, error_type: type[Exception]) -> Mapping[str, int]:
    """Reads CPU times over all CPUs, in ns.

    virDomainGetCPUStats reads control groups; on a host without them the bulk call still reports the times.
    """
    try:
        times: Mapping[str, int] = domain.getCPUStats(True)[0]
    except error_type:
        for _, stats in domain.connect().domainListGetStats([domain], CPU_GROUPS, NOWAIT):
            # For a domain that is shut off, libvirt reports libvirtd's own time.
            if "cpu.user" in stats and stats.get("state.state") != mapping.SHUT_OFF:
                return {"user_time": stats["cpu.user"], "system_time": stats["cpu.system"]}
        raise
    return times
