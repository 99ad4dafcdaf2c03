"""Makes bulk and single calls on one libvirt connection, and handles their errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from producers.libvirt.connection import (
    NO_DOMAIN,
    NO_SUPPORT,
    OPERATION_INVALID,
    DomainGone,
    LibvirtConnection,
    VirDomain,
    error_cause,
    error_code,
    is_connection_error,
)
from producers.libvirt.mapping import DomainIdentity, Stats

if TYPE_CHECKING:
    from producers.reader import Problems

ACTIVE: Final = 1
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE and VIR_CONNECT_LIST_DOMAINS_ACTIVE."""
NOWAIT: Final = 1 << 29
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT, since libvirt 4.5: partial statistics of a busy domain, no wait."""
BULK_UNSUPPORTED: Final = frozenset({3, 74, 84})
"""NO_SUPPORT, ARGUMENT_UNSUPPORTED, OPERATION_UNSUPPORTED: this driver or daemon has no bulk call."""
OK: Final = 0
OCCUPIED: Final = 2
"""virDomainControlState: the monitor is free; the monitor is executing a command."""
BULK_ATTEMPTS: Final = 2
GONE: Final = "gone during the poll"

DomainStats = tuple[VirDomain, Stats]
"""A domain and its statistics, as the bulk call returns them."""


class CurrentCall(NamedTuple):
    """Progress of a poll that reads its domains by single calls."""

    uuid: str
    """The domain being read."""
    started_s: float
    domains_done: int
    domains_total: int


class LibvirtCalls:
    """Makes calls on one connection, from a single thread.

    Other threads may read `current_call`.
    """

    def __init__(self, connection: LibvirtConnection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self.current_call: CurrentCall | None = None
        """None while idle and during a bulk call, which does not show which domain it waits for."""
        self.count = 0
        """Calls made so far."""

    def list_active(self) -> list[VirDomain]:
        """Lists the active domains.

        Raises:
            libvirtError: The connection is lost.
        """
        self.count += 1
        domains: list[VirDomain] = self._connection.open().listAllDomains(ACTIVE)
        return domains

    def bulk(self, domains: Sequence[VirDomain] | None, groups: int, problems: Problems) -> list[DomainStats] | None:
        """Reads the statistics of many domains in one call.

        A domain that dies during the call may fail it for all: it is tried once more, then domain by domain.

        Args:
            domains: The domains to read; None reads all active ones.
            groups: Statistics to read (virDomainStatsTypes).
            problems: Collects the domains that could not be read.

        Returns:
            The statistics per domain; None if the driver has no bulk call.

        Raises:
            libvirtError: The connection is lost.
        """
        for _ in range(BULK_ATTEMPTS):
            try:
                return self.get_stats(domains, groups)
            except self._connection.error_type as error:
                if is_connection_error(error):
                    raise
                if error_code(error) in BULK_UNSUPPORTED:
                    return None
        results = []
        for domain in self.list_active() if domains is None else domains:
            try:
                results += self.get_stats([domain], groups)
            except self._connection.error_type as error:
                if is_connection_error(error):
                    raise
                is_gone = error_code(error) in (NO_DOMAIN, OPERATION_INVALID)
                problems.add("domain", GONE if is_gone else error_cause(error), whole=not is_gone)
        return results

    def get_stats(self, domains: Sequence[VirDomain] | None, groups: int) -> list[DomainStats]:
        """Makes one bulk call, for the given domains or all active ones.

        Raises:
            libvirtError: The call failed.
        """
        if domains is not None and not domains:
            return []
        self.count += 1
        handle = self._connection.open()
        results: list[DomainStats] = (
            handle.getAllDomainStats(groups, ACTIVE | NOWAIT)
            if domains is None
            else handle.domainListGetStats(domains, groups, NOWAIT)
        )
        return results

    def call(self, domain: VirDomain, method: str, problems: Problems, *arguments: object) -> Any:
        """Makes one call on a domain. Returns None if it failed, which is added to `problems`.

        Raises:
            DomainGone: The domain is no longer active.
            libvirtError: The connection is lost.
        """
        self.count += 1
        try:
            return getattr(domain, method)(*arguments)
        except self._connection.error_type as error:
            if is_connection_error(error):
                raise
            code = error_code(error)
            if code == NO_DOMAIN or (code == OPERATION_INVALID and not self._is_active(domain)):
                raise DomainGone from error
            problems.add(method, error_cause(error), whole=code != NO_SUPPORT)
            return None

    def begin_domain(self, domain: DomainIdentity, domains_done: int, domains_total: int) -> None:
        """Records the domain that the next single calls read."""
        self.current_call = CurrentCall(domain.uuid, self._clock(), domains_done, domains_total)

    def control_info(self, domain: VirDomain) -> tuple[int, int, int]:
        """Reads virDomainGetControlInfo: state, details, milliseconds in that state.

        Never waits for the hypervisor process. A domain whose driver does not support it is reported as free.

        Raises:
            libvirtError: The connection is lost.
        """
        self.count += 1
        try:
            state, details, state_ms = domain.controlInfo()
        except self._connection.error_type as error:
            if is_connection_error(error):
                raise
            return OK, 0, 0
        return state, details, state_ms

    def _is_active(self, domain: VirDomain) -> bool:
        try:
            return bool(domain.isActive())
        except self._connection.error_type as error:
            if is_connection_error(error):
                raise
            return False


def identify(domain: VirDomain) -> DomainIdentity:
    """Reads name, UUID and id from the handle itself, without a round trip."""
    domain_id = domain.ID()
    return DomainIdentity(domain.name(), domain.UUIDString(), domain_id if domain_id >= 0 else None)
