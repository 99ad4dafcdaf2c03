"""One round over one libvirt connection: bulk figures where the driver gives them, else a call per device. I/O.

Runs in the process that `child` is, for libvirt offers no deadline: while a hypervisor process hangs, the first call
that needs it blocks until it answers (NOWAIT spares only later callers), and can be ended only with its process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from producers.libvirt import device_cache, device_stats, mapping
from producers.libvirt.bulk_stats import GONE, OCCUPIED, OK, Gone, Inquiry, who
from producers.libvirt.connection import Connection
from producers.reader import Problems

if TYPE_CHECKING:
    from schemas.records import Domain

GROUPS: Final = 63
"""STATE, CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK. Never all: IOTHREAD and DIRTYRATE fail the call for every domain
when one dies during it."""
WITHOUT_HYPERVISOR: Final = 17
"""STATE, INTERFACE: what libvirt knows by itself, so that no hypervisor process can hold it up."""
RUNNING: Final = 1
BUSY_MS: Final = 500
"""Milliseconds in one command after which a hypervisor process counts as one that does not answer."""

Read = tuple["list[Domain]", list[mapping.Who], Problems]
"""The active domains, those of them that were left out, and what could not be read."""


class Rounds:
    """Rounds over one connection, for one thread."""

    def __init__(self, connection: Connection, cache: device_cache.DeviceCache, inquiry: Inquiry) -> None:
        self._connection = connection
        self._devices = cache
        self._inquiry = inquiry
        self._gives_bulk: bool | None = None
        """Whether this connection's driver gives bulk figures; None: no running domain has shown it yet."""
        self._judged = 0
        """Which opening of the connection that was."""

    def read(self, out: Collection[str] = (), held: Collection[str] = (), groups: int = GROUPS) -> Read:
        """All active domains.

        Args:
            out: UUIDs of domains that did not answer; those that nobody waits for any more are asked again.
            held: those of them that are not asked even so.
            groups: which figures, where the driver gives them in bulk (virDomainStatsTypes).

        Raises:
            libvirtError: there is no connection, or it was lost.
        """
        problems = Problems()
        self._connection.open()
        if self._connection.opened != self._judged:
            self._judged, self._gives_bulk = self._connection.opened, None
        listed, silent = self._sort(out, held) if out else (None, [])
        found = None if self._gives_bulk is False else self._bulk(listed, groups, silent, problems)
        if found is None:
            found = self._each(self._inquiry.active() if listed is None else listed, problems)
        left_out = [who(domain) for domain in silent]
        self._devices.keep(
            [(domain["uuid"], domain["domain_id"]) for domain in found]
            + [(domain.uuid, domain.domain_id) for domain in left_out]
        )
        return found, left_out, problems

    def _sort(self, out: Collection[str], held: Collection[str]) -> tuple[list[Any], list[Any]]:
        """The active domains: those to be asked, those to be left out."""
        listed: list[Any] = []
        silent: list[Any] = []
        for domain in self._inquiry.active():
            uuid = domain.UUIDString()
            out_now = uuid in out and (uuid in held or self._inquiry.control(domain)[0] != OK)
            (silent if out_now else listed).append(domain)
        return listed, silent

    def _bulk(
        self, listed: list[Any] | None, groups: int, silent: list[Any], problems: Problems
    ) -> list[Domain] | None:
        """One call for all domains (or those listed), or None if this driver's bulk call has no figures."""
        answer = self._inquiry.bulk(listed, groups, problems)
        if answer is None:
            self._gives_bulk = False
            return None
        if self._gives_bulk is None:
            self._gives_bulk = _gives_figures([stats for _, stats in answer])
        if answer and not self._gives_bulk:
            return None
        asked = []
        for domain, stats in answer:
            if groups == GROUPS and mapping.is_busy(stats) and self._is_stuck(domain):
                silent.append(domain)  # somebody else waits for it already, so libvirt did not
            else:
                asked.append((domain, stats))
        return self._gather(asked, self._from_bulk, problems)

    def _each(self, listed: list[Any], problems: Problems) -> list[Domain]:
        """Calls per domain and device."""

        def read(pair: tuple[int, Any], problems: Problems) -> Domain:
            return self._from_calls(pair[1], pair[0], len(listed), problems)

        try:
            return self._gather(enumerate(listed), read, problems)
        finally:
            self._inquiry.asking = None

    def _gather(
        self, items: Iterable[Any], read: Callable[[Any, Problems], Domain], problems: Problems
    ) -> list[Domain]:
        found = []
        for item in items:
            try:
                domain = read(item, problems)
            except Gone:
                problems.add("domain", GONE)
                continue
            if domain["state"] == mapping.SHUT_OFF:
                problems.add("domain", GONE)
                continue
            found.append(domain)
        return found

    def _from_bulk(self, entry: tuple[Any, dict[str, Any]], problems: Problems) -> Domain:
        domain, stats = entry
        known = self._devices_of(domain, mapping.shape(stats), problems)
        return mapping.from_bulk(who(domain), stats, known, problems)

    def _from_calls(self, domain: Any, number: int, of: int, problems: Problems) -> Domain:
        name = who(domain)
        self._inquiry.note(name, number, of)

        def ask(method: str, *arguments: Any) -> Any:
            return self._inquiry.ask(domain, method, problems, *arguments)

        known = self._devices_of(domain, (), problems) or device_cache.Devices()
        cpu = ask("getCPUStats", True)
        answers = device_stats.Calls(
            info=ask("info"),
            state=ask("state"),
            memory=ask("memoryStats"),
            cpu=cpu[0] if cpu else None,
            nics={nic: ask("interfaceStats", nic) for nic in known.nics},
            disks={target: ask("blockStats", target) for target, disk in known.disks.items() if disk.kind == "disk"},
        )
        return device_stats.from_calls(name, answers, known, problems)

    def _devices_of(self, domain: Any, shape: Any, problems: Problems) -> device_cache.Devices | None:
        def read() -> device_cache.Devices | None:
            xml = self._inquiry.ask(domain, "XMLDesc", problems)
            if xml is None:
                return None
            try:
                return device_cache.parse(xml)
            except ValueError:
                problems.add("XMLDesc", "not XML")
                return None

        name = who(domain)
        return self._devices.get((name.uuid, name.domain_id), shape, read)

    def _is_stuck(self, domain: Any) -> bool:
        state, _, since_ms = self._inquiry.control(domain)
        return state == OCCUPIED and since_ms >= BUSY_MS


def _gives_figures(answers: list[dict[str, Any]]) -> bool | None:
    """Judged by running domains only: one that is just dying says nothing about the driver."""
    if any(mapping.has_figures(stats) for stats in answers):
        return True
    return False if any(stats.get("state.state") == RUNNING for stats in answers) else None
