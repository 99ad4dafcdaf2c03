"""Seed 003's KVMConnector: a libvirt connection asked call by call, which gives 0 for what it does not know. I/O.

For scripts, and wherever the seed's API is wanted. The producer reads with `LibvirtReader`, whose records keep null
with a cause; both make figures of libvirt's answers by the same code (`sample`), and devices of its XML (`devices`).

A connector may be shared by threads, which wait for each other. A call waits `timeout` seconds at most; a domain that
hangs costs that once, and gives 0 until it answers (`asker`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final, Self

import structlog

from producers.libvirt import device_cache, device_stats, mapping
from producers.libvirt.bulk_stats import ACTIVE, NOWAIT
from producers.libvirt.scripting.caller import Asker, Gone, whose
from producers.libvirt.settings import LibvirtSettings
from producers.reader import Problems

log = structlog.get_logger()
LIBVIRT_TIMEOUT: Final = 30.0
"""Seconds for one call."""
STATES: Final = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
"""Words for virDomainState, by number."""
NIC: Final = tuple(name for name, _ in mapping.NIC)
DISK: Final = tuple(name for name, _ in mapping.DISK)
MEMORY: Final = tuple(name for name, _ in mapping.FIGURES if name.startswith("mem") and not name.startswith("memory_"))
CPU: Final = ("timeusr", "timesys")
VM: Final = {
    "state": "state",
    "cpu_count": "cpus",
    "memory_max": "memory_max_kb",
    "memory_used": "memory_used_kb",
    "cputime": "cputime",
}
"""Key of the seed's dictionary → figure of the record."""
CPU_TIMES: Final = 1 | 2
"""STATE, CPU_TOTAL of virDomainStatsTypes."""
NOTHING: Final = device_stats.Calls(info=None, state=None, memory=None, cpu=None)


class KVMConnector:
    """The active domains of one libvirt connection, and the figures of each. Connects at first use.

    Args:
        uri: libvirt connection URI.
        timeout: seconds that one call may take.
        device_cache_ttl: seconds for which a domain's devices are believed; default: `DEVICE_CACHE_TTL` of the
            environment, else 300.
        clock: seconds, monotonic.
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
        self._device_cache = device_cache.DeviceCache(ttl_s, clock)
        self._asker = Asker(uri, timeout)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    @property
    def timeout(self) -> float:
        """Seconds that one call may take."""
        return self._asker.timeout_s

    def connect(self) -> bool:
        """Whether there is a connection now. Why there is none is logged.

        Raises:
            Misconfigured: libvirt-python is not installed.
        """
        try:
            self._asker.on_node(lambda _: None)
        except (ConnectionError, TimeoutError) as error:
            log.warning("not connected to libvirt", why=str(error))
            return False
        return True

    def disconnect(self) -> None:
        """Closes the connection; the next question opens another."""
        self._asker.close()

    def is_connected(self) -> bool:
        """Whether the connection is open, as far as the client library knows."""
        return self._asker.is_open

    def get_live_vms(self) -> list[dict[str, Any]]:
        """The active domains: `id` (libvirt's), `name`, `uuid`, `state` (a word), `cpu_count`, `memory_max`, …

        `memory_max` and `memory_used` are KiB, `cputime` is ns (virDomainGetInfo); `dom` is the virDomain, which the
        other methods take.

        Raises:
            ConnectionError: there is no connection to be had; an empty list would say that there are no domains.
            TimeoutError: libvirt did not answer in time.
            Misconfigured: libvirt-python is not installed.
        """
        with self._asker.lock:
            found = []
            for dom in self._asker.on_node(lambda handle: handle.listAllDomains(ACTIVE)):
                try:
                    info = self._asker.ask(dom, "info")
                except Gone:
                    continue
                figures = self._figures(dom, replace(NOTHING, info=info), VM.values())
                vm = {"id": dom.ID(), "name": dom.name(), "uuid": dom.UUIDString()}
                vm |= {key: figures[name] for key, name in VM.items()} | {"dom": dom}
                vm["state"] = STATES[vm["state"]] if vm["state"] < len(STATES) else "unknown"
                found.append(vm)
            self._device_cache.keep((vm["uuid"], vm["id"]) for vm in found)
            self._asker.causes.keep({vm["uuid"] for vm in found})
            return found

    def get_devices_for_vm(self, dom: Any) -> tuple[list[str], list[str]]:
        """Names of its NICs (target device, else MAC) and of its disks (target; no CD-ROMs), from a cache."""
        with self._asker.lock:
            found = self._device_cache.get((dom.UUIDString(), dom.ID()), (), lambda: self._devices(dom))
        known = found or device_cache.Devices()
        return list(known.nics), [name for name, disk in known.disks.items() if disk.kind == "disk"]

    def get_interface_stats(self, dom: Any, iface_name: str) -> dict[str, int]:
        """`rxbytes rxpackets rxerrors rxdrops txbytes txpackets txerrors txdrops` of a NIC, cumulative.

        rx is what the guest receives (virDomainInterfaceStats).
        """
        answer = self._asker.known(dom, "interfaceStats", iface_name)
        return self._figures(
            dom,
            replace(NOTHING, nics={iface_name: answer}),
            NIC,
            device_cache.Devices(nics={iface_name: device_cache.NIC_WORDS}),
        )

    def get_block_stats(self, dom: Any, block_name: str) -> dict[str, int]:
        """`rd_req rd_bytes wr_reqs wr_bytes errors` of a disk, cumulative (virDomainBlockStats)."""
        answer = self._asker.known(dom, "blockStats", block_name)
        known = device_cache.Devices(disks={block_name: device_cache.Disk()})
        return self._figures(dom, replace(NOTHING, disks={block_name: answer}), DISK, known)

    def get_memory_stats(self, dom: Any) -> dict[str, int]:
        """`memactual`, `memrss`, … `memdisk_cache`: KiB, but for `memmajor_fault` and `memminor_fault`, which count.

        From virDomainMemoryStats; memactual is virDomainGetInfo's, as in the producer's records.
        """
        answers = replace(NOTHING, info=self._asker.known(dom, "info"), memory=self._asker.known(dom, "memoryStats"))
        return self._figures(dom, answers, MEMORY)

    def get_cpu_stats(self, dom: Any) -> dict[str, int]:
        """`timeusr` and `timesys`, cumulative ns over all CPUs (virDomainGetCPUStats, else the bulk figures)."""
        answer = self._asker.known(dom, "getCPUStats", by=_cpu_times)
        return self._figures(dom, replace(NOTHING, cpu=answer), CPU)

    def _figures(
        self, dom: Any, answers: device_stats.Calls, names: Collection[str], known: device_cache.Devices | None = None
    ) -> dict[str, int]:
        """Figures of a domain, or of its one `known` device, by the code that makes the producer's records."""
        problems = Problems()
        who = mapping.Who(dom.name(), dom.UUIDString(), dom.ID())
        record: Any = device_stats.from_calls(who, answers, known or device_cache.Devices(), problems)
        part = record if known is None else [*record["nics"], *record["disks"]][0]
        prefix = "" if known is None else "nics." if known.nics else "disks."
        about = whose(dom, *(() if known is None else [part["device"]]))
        wrong = {field.rpartition(".")[2]: (field, why) for field, why in problems.counts}
        for name in names:
            if name in wrong:
                self._asker.causes.begin(*wrong[name], about, who.name)
            elif part[name] is not None:
                self._asker.causes.end(prefix + name, about)
        return {name: part[name] or 0 for name in names}

    def _devices(self, dom: Any) -> device_cache.Devices | None:
        xml = self._asker.known(dom, "XMLDesc")
        if xml is None:
            return None
        try:
            return device_cache.parse(xml)
        except ValueError:
            self._asker.causes.begin("XMLDesc", "not XML", whose(dom), dom.name())
            return None


def _cpu_times(domain: Any, error_type: type[Exception]) -> Mapping[str, int]:
    """Times over all CPUs, ns. virDomainGetCPUStats reads control groups; without them the bulk call still knows."""
    try:
        times: Mapping[str, int] = domain.getCPUStats(True)[0]
    except error_type:
        for _, stats in domain.connect().domainListGetStats([domain], CPU_TIMES, NOWAIT):
            # Of a domain that is shut off, libvirt gives libvirtd's own time.
            if "cpu.user" in stats and stats.get("state.state") != mapping.SHUT_OFF:
                return {"user_time": stats["cpu.user"], "system_time": stats["cpu.system"]}
        raise
    return times
