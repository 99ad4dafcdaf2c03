"""Polls one libvirt connection: bulk figures where the driver gives them, else a call per device. I/O; no record logic.

libvirt offers no deadline: while a hypervisor process hangs, the first call that needs it blocks until it answers
(NOWAIT spares only later callers). A poll in progress can therefore be ended by killing its process, and only so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from producers.libvirt import devices, sample
from producers.libvirt.connection import (
    NO_DOMAIN,
    NO_SUPPORT,
    OPERATION_INVALID,
    Connection,
    cause,
    code_of,
    is_transport,
)
from producers.reader import Facts, PollFailed, Problems, Sample

if TYPE_CHECKING:
    from producers.targets import LibvirtTarget
    from schemas.records import Domain

CATEGORY: Final = "domains"
DEVICE_CACHE_TTL: Final = 300.0
"""Seconds for which a domain's device list is believed."""
GROUPS: Final = 63
"""STATE, CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK. Never all: IOTHREAD and DIRTYRATE fail the call for every domain
when one dies during it."""
ACTIVE: Final = 1
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE and VIR_CONNECT_LIST_DOMAINS_ACTIVE."""
NOWAIT: Final = 1 << 29
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT, since libvirt 4.5: partial figures of a busy domain, not a wait."""
RUNNING: Final = 1
UNSUPPORTED: Final = frozenset({3, 74, 84})
"""NO_SUPPORT, ARGUMENT_UNSUPPORTED, OPERATION_UNSUPPORTED: this driver or daemon has no bulk call."""
GONE: Final = "gone during the poll"


class _Gone(Exception):
    """The domain is no longer active."""


class LibvirtReader:
    """Reader of one libvirt target, category `domains`. Connects at the first `read`. `libvirt`: the module."""

    source = "libvirt"

    def __init__(
        self,
        target: LibvirtTarget,
        interval_s: float,
        libvirt: Any,
        *,
        device_cache_ttl_s: float = DEVICE_CACHE_TTL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = Connection(target.uri, libvirt)
        self._devices = devices.DeviceCache(device_cache_ttl_s, clock)
        self._clock = clock
        self._bulk: bool | None = None
        """Whether this connection's driver gives bulk figures; None: no running domain has shown it yet."""
        self._judged = 0
        """Which opening of the connection that was."""
        self.host = target.host
        self.address = self._connection.address
        self.labels = target.labels
        self.intervals = {CATEGORY: interval_s}

    def read(self, category: str, timeout_s: float) -> Sample:
        """All active domains. Within `timeout_s` seconds, but for a single call that blocks (see the module).

        Raises:
            PollFailed: `unreachable`, `auth_failed`, or `late` when time ran out between two domains.
        """
        if category != CATEGORY:
            raise ValueError(f"libvirt has no category {category!r}")
        problems = Problems()
        deadline = self._clock() + timeout_s
        try:
            handle = self._connection.open()
            if self._connection.opened != self._judged:
                self._judged, self._bulk = self._connection.opened, None
            found = None if self._bulk is False else self._read_bulk(handle, problems)
            if found is None:
                found = self._read_each(handle, deadline, problems)
        except self._connection.error_type as error:
            self.close()
            raise self._connection.failure(error) from None  # the original message may name user and password
        self._devices.keep((domain["uuid"], domain["domain_id"]) for domain in found)
        return Sample({"uri": self.address, "hypervisor": self._connection.hypervisor, "domains": found}, problems)

    def facts(self) -> Facts:
        """Which hypervisor answers."""
        return Facts(model=self._connection.hypervisor)

    def close(self) -> None:
        """Closes the connection; a later `read` opens it again."""
        self._connection.close()

    def _read_bulk(self, handle: Any, problems: Problems) -> list[Domain] | None:
        """One call for all domains, or None if this driver's bulk call has no figures."""
        try:
            answer = handle.getAllDomainStats(GROUPS, ACTIVE | NOWAIT)
        except self._connection.error_type as error:
            if code_of(error) not in UNSUPPORTED:
                raise
            self._bulk = False
            return None
        if self._bulk is None:
            self._bulk = _gives_figures([stats for _, stats in answer])
        if answer and not self._bulk:
            return None
        return self._gather(answer, self._from_bulk, problems)

    def _read_each(self, handle: Any, deadline: float, problems: Problems) -> list[Domain]:
        """Calls per domain and device."""
        listed = handle.listAllDomains(ACTIVE)

        def read(pair: tuple[Any, int], problems: Problems) -> Domain:
            domain, number = pair
            if self._clock() > deadline:
                # A shorter list would say that the others are gone.
                raise PollFailed("late", f"libvirt {self.address}: time was up after {number} of {len(listed)} domains")
            return self._from_calls(domain, problems)

        return self._gather(zip(listed, range(len(listed)), strict=True), read, problems)

    def _gather(self, items: Any, read: Callable[[Any, Problems], Domain], problems: Problems) -> list[Domain]:
        found = []
        for item in items:
            try:
                domain = read(item, problems)
            except _Gone:
                problems.add("domain", GONE)
                continue
            if domain["state"] == sample.SHUT_OFF:
                problems.add("domain", GONE)
                continue
            found.append(domain)
        return found

    def _from_bulk(self, entry: tuple[Any, dict[str, Any]], problems: Problems) -> Domain:
        domain, stats = entry
        who = _who(domain)
        known = self._devices_of(domain, who, sample.shape(stats), problems)
        return sample.from_bulk(who, stats, known, problems)

    def _from_calls(self, domain: Any, problems: Problems) -> Domain:
        who = _who(domain)

        def ask(name: str, *arguments: Any) -> Any:
            return self._ask(domain, name, problems, *arguments)

        known = self._devices_of(domain, who, (), problems) or sample.Devices()
        cpu = ask("getCPUStats", True)
        calls = sample.Calls(
            info=ask("info"),
            state=ask("state"),
            memory=ask("memoryStats"),
            cpu=cpu[0] if cpu else None,
            nics={name: ask("interfaceStats", name) for name in known.nics},
            disks={name: ask("blockStats", name) for name, kind in known.disks if kind == "disk"},
        )
        return sample.from_calls(who, calls, known, problems)

    def _devices_of(self, domain: Any, who: sample.Who, shape: Any, problems: Problems) -> sample.Devices | None:
        def read() -> sample.Devices | None:
            xml = self._ask(domain, "XMLDesc", problems)
            if xml is None:
                return None
            try:
                return devices.parse(xml)
            except ValueError:
                problems.add("XMLDesc", "not XML")
                return None

        return self._devices.get((who.uuid, who.domain_id), shape, read)

    def _ask(self, domain: Any, name: str, problems: Problems, *arguments: Any) -> Any:
        """One call on a domain; None if it failed, which is counted.

        Raises:
            _Gone: the domain is no longer active.
            libvirtError: the connection is lost.
        """
        try:
            return getattr(domain, name)(*arguments)
        except self._connection.error_type as error:
            if is_transport(error):
                raise
            code = code_of(error)
            if code == NO_DOMAIN or (code == OPERATION_INVALID and not self._is_active(domain)):
                raise _Gone from error
            problems.add(name, cause(error), whole=code != NO_SUPPORT)
            return None

    def _is_active(self, domain: Any) -> bool:
        try:
            return bool(domain.isActive())
        except self._connection.error_type as error:
            if is_transport(error):
                raise
            return False


def _who(domain: Any) -> sample.Who:
    """Answered by the handle itself: no round trip."""
    number = domain.ID()
    return sample.Who(domain.name(), domain.UUIDString(), number if number >= 0 else None)


def _gives_figures(answers: list[dict[str, Any]]) -> bool | None:
    """Judged by running domains only: one that is just dying says nothing about the driver."""
    if any(sample.has_figures(stats) for stats in answers):
        return True
    return False if any(stats.get("state.state") == RUNNING for stats in answers) else None
