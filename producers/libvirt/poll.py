"""Polls the domains of one libvirt connection, in bulk or by a call per device.

Runs in the worker process, because libvirt calls have no timeout: while a hypervisor process hangs, the first call that
needs it blocks until it answers (NOWAIT spares only later callers), and only killing its process ends the call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from producers.libvirt import device_stats, mapping
from producers.libvirt.bulk_stats import GONE, OCCUPIED, OK, DomainStats, LibvirtCalls, identify
from producers.libvirt.connection import DomainGone, LibvirtConnection, VirDomain
from producers.libvirt.device_cache import DeviceCache, DomainDevices, Signature, parse_domain_xml
from producers.reader import Problems

if TYPE_CHECKING:
    from schemas.records import Domain

Source = TypeVar("Source")

POLLED_GROUPS: Final = 63
"""STATE, CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK. Never all groups: IOTHREAD and DIRTYRATE fail the call for every
domain when one dies during it."""
GROUPS_WITHOUT_MONITOR: Final = 17
"""STATE, INTERFACE: reported by libvirt itself, so that no hypervisor process can delay them."""
RUNNING: Final = 1
BUSY_MS: Final = 500
"""If the hypervisor process has been in one command for this long, the domain is skipped."""


class DomainPoll(NamedTuple):
    """Result of one poll."""

    domains: list[Domain]
    unresponsive: list[mapping.DomainIdentity]
    """Active domains that were skipped."""
    problems: Problems


class DomainPoller:
    """Polls one connection, from a single thread."""

    def __init__(self, connection: LibvirtConnection, cache: DeviceCache, calls: LibvirtCalls) -> None:
        self._connection = connection
        self._cache = cache
        self._calls = calls
        self._supports_bulk: bool | None = None
        """True if the connection's driver reports bulk statistics; None until a running domain has shown it."""
        self._probed_open_count = 0
        """`open_count` of the connection when `_supports_bulk` was determined. A reopened one is probed again."""

    def poll(
        self, quarantined: Collection[str] = (), held: Collection[str] = (), groups: int = POLLED_GROUPS
    ) -> DomainPoll:
        """Reads all active domains.

        Args:
            quarantined: UUIDs of domains that did not answer. Those whose monitor is free again are read.
            held: UUIDs of quarantined domains that are skipped even if their monitor is free.
            groups: Statistics to read in bulk (virDomainStatsTypes).

        Raises:
            libvirtError: The connection cannot be opened, or was lost.
        """
        problems = Problems()
        self._connection.open()
        if self._connection.open_count != self._probed_open_count:
            self._probed_open_count, self._supports_bulk = self._connection.open_count, None
        selected, skipped = self._select(quarantined, held) if quarantined else (None, [])
        domains = None
        if self._supports_bulk is not False:
            domains = self._poll_bulk(selected, groups, skipped, problems)
        if domains is None:
            domains = self._poll_calls(self._calls.list_active() if selected is None else selected, problems)
        unresponsive = [identify(domain) for domain in skipped]
        self._cache.retain(
            [(domain["uuid"], domain["domain_id"]) for domain in domains]
            + [(identity.uuid, identity.domain_id) for identity in unresponsive]
        )
        return DomainPoll(domains, unresponsive, problems)

    def _select(self, quarantined: Collection[str], held: Collection[str]) -> tuple[list[VirDomain], list[VirDomain]]:
        """Divides the active domains into those to read and those to skip."""
        selected: list[VirDomain] = []
        skipped: list[VirDomain] = []
        for domain in self._calls.list_active():
            uuid = domain.UUIDString()
            skip = uuid in quarantined and (uuid in held or self._calls.control_info(domain)[0] != OK)
            (skipped if skip else selected).append(domain)
        return selected, skipped

    def _poll_bulk(
        self, selected: Sequence[VirDomain] | None, groups: int, skipped: list[VirDomain], problems: Problems
    ) -> list[Domain] | None:
        """Reads the domains in one call; returns None if the driver reports no statistics that way.

        Domains found busy are added to `skipped`.
        """
        results = self._calls.bulk(selected, groups, problems)
        if results is None:
            self._supports_bulk = False
            return None
        if self._supports_bulk is None:
            self._supports_bulk = _supports_bulk([stats for _, stats in results])
        if results and not self._supports_bulk:
            return None
        answered = []
        for domain, stats in results:
            if groups == POLLED_GROUPS and mapping.is_busy(stats) and self._is_stuck(domain):
                skipped.append(domain)  # libvirt did not wait, because another caller already does
            else:
                answered.append((domain, stats))
        return self._collect(answered, self._read_stats, problems)

    def _poll_calls(self, domains: Sequence[VirDomain], problems: Problems) -> list[Domain]:
        """Reads the domains by a call per statistic and device."""

        def read(item: tuple[int, VirDomain], problems: Problems) -> Domain:
            index, domain = item
            return self._read_calls(domain, index, len(domains), problems)

        try:
            return self._collect(enumerate(domains), read, problems)
        finally:
            self._calls.current_call = None

    def _collect(
        self, sources: Iterable[Source], read: Callable[[Source, Problems], Domain], problems: Problems
    ) -> list[Domain]:
        domains = []
        for source in sources:
            try:
                domain = read(source, problems)
            except DomainGone:
                problems.add("domain", GONE)
                continue
            if domain["state"] == mapping.SHUT_OFF:
                problems.add("domain", GONE)
                continue
            domains.append(domain)
        return domains

    def _read_stats(self, result: DomainStats, problems: Problems) -> Domain:
        domain, stats = result
        devices = self._devices_of(domain, mapping.device_signature(stats), problems)
        return mapping.domain_from_stats(identify(domain), stats, devices, problems)

    def _read_calls(self, domain: VirDomain, index: int, total: int, problems: Problems) -> Domain:
        identity = identify(domain)
        self._calls.begin_domain(identity, index, total)

        def call(method: str, *arguments: object) -> Any:
            return self._calls.call(domain, method, problems, *arguments)

        devices = self._devices_of(domain, (), problems) or DomainDevices()
        cpu = call("getCPUStats", True)
        results = device_stats.CallResults(
            info=call("info"),
            state=call("state"),
            memory=call("memoryStats"),
            cpu=cpu[0] if cpu else None,
            nics={nic: call("interfaceStats", nic) for nic in devices.nics},
            disks={target: call("blockStats", target) for target, disk in devices.disks.items() if disk.kind == "disk"},
        )
        return device_stats.domain_from_calls(identity, results, devices, problems)

    def _devices_of(self, domain: VirDomain, signature: Signature, problems: Problems) -> DomainDevices | None:
        def read() -> DomainDevices | None:
            xml = self._calls.call(domain, "XMLDesc", problems)
            if xml is None:
                return None
            try:
                return parse_domain_xml(xml)
            except ValueError:
                problems.add("XMLDesc", "not XML")
                return None

        identity = identify(domain)
        return self._cache.get((identity.uuid, identity.domain_id), signature, read)

    def _is_stuck(self, domain: VirDomain) -> bool:
        state, _, state_ms = self._calls.control_info(domain)
        return state == OCCUPIED and state_ms >= BUSY_MS


def _supports_bulk(results: Sequence[mapping.Stats]) -> bool | None:
    """Infers from running domains only; a dying one does not show what the driver supports."""
    if any(mapping.has_statistics(stats) for stats in results):
        return True
    return False if any(stats.get("state.state") == RUNNING for stats in results) else None
