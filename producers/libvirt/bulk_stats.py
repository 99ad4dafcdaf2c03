"""Single calls on one libvirt connection, and what their failures mean to a round. I/O; makes no record."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from producers.libvirt.connection import (
    NO_DOMAIN,
    NO_SUPPORT,
    OPERATION_INVALID,
    Connection,
    cause,
    code_of,
    is_transport,
)
from producers.libvirt.mapping import Who

if TYPE_CHECKING:
    from producers.reader import Problems

ACTIVE: Final = 1
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE and VIR_CONNECT_LIST_DOMAINS_ACTIVE."""
NOWAIT: Final = 1 << 29
"""VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT, since libvirt 4.5: partial figures of a busy domain, not a wait."""
UNSUPPORTED: Final = frozenset({3, 74, 84})
"""NO_SUPPORT, ARGUMENT_UNSUPPORTED, OPERATION_UNSUPPORTED: this driver or daemon has no bulk call."""
OK: Final = 0
OCCUPIED: Final = 2
"""virDomainControlState: nobody asks the hypervisor process now; somebody waits for its answer."""
BULK_TRIES: Final = 2
Figures = tuple[Any, dict[str, Any]]
"""A domain and what the bulk call gives of it."""
GONE: Final = "gone during the poll"


class Gone(Exception):
    """The domain is no longer active."""


class Asking(NamedTuple):
    """What a round of single calls is waiting for."""

    uuid: str
    since_s: float
    done: int
    of: int


class Inquiry:
    """Calls on one connection, for one thread. `asking` may be looked at from others."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self.asking: Asking | None = None
        """None: nothing, or a bulk call, which does not say whom it waits for."""
        self.calls = 0
        """Calls made."""

    def active(self) -> list[Any]:
        """The active domains.

        Raises:
            libvirtError: the connection is lost.
        """
        self.calls += 1
        listed: list[Any] = self._connection.open().listAllDomains(ACTIVE)
        return listed

    def bulk(self, listed: list[Any] | None, groups: int, problems: Problems) -> list[Figures] | None:
        """Figures of all active domains, or of those listed; None if the driver gives none so.

        A domain that dies during the call may fail it: then once more, and then each domain by itself.

        Raises:
            libvirtError: the connection is lost.
        """
        for _ in range(BULK_TRIES):
            try:
                return self.figures(listed, groups)
            except self._connection.error_type as error:
                if is_transport(error):
                    raise
                if code_of(error) in UNSUPPORTED:
                    return None
        answer = []
        for domain in self.active() if listed is None else listed:
            try:
                answer += self.figures([domain], groups)
            except self._connection.error_type as error:
                if is_transport(error):
                    raise
                gone = code_of(error) in (NO_DOMAIN, OPERATION_INVALID)
                problems.add("domain", GONE if gone else cause(error), whole=not gone)
        return answer

    def figures(self, listed: list[Any] | None, groups: int) -> list[Figures]:
        """One bulk call, for all active domains or those listed.

        Raises:
            libvirtError: it failed.
        """
        if listed == []:
            return []
        self.calls += 1
        handle = self._connection.open()
        answer: list[Figures] = (
            handle.getAllDomainStats(groups, ACTIVE | NOWAIT)
            if listed is None
            else handle.domainListGetStats(listed, groups, NOWAIT)
        )
        return answer

    def ask(self, domain: Any, name: str, problems: Problems, *arguments: Any) -> Any:
        """One call on a domain; None if it failed, which is counted.

        Raises:
            Gone: the domain is no longer active.
            libvirtError: the connection is lost.
        """
        self.calls += 1
        try:
            return getattr(domain, name)(*arguments)
        except self._connection.error_type as error:
            if is_transport(error):
                raise
            code = code_of(error)
            if code == NO_DOMAIN or (code == OPERATION_INVALID and not self._is_active(domain)):
                raise Gone from error
            problems.add(name, cause(error), whole=code != NO_SUPPORT)
            return None

    def note(self, who: Who, done: int, of: int) -> None:
        """Says whom the next calls ask, and how many domains are done."""
        self.asking = Asking(who.uuid, self._clock(), done, of)

    def control(self, domain: Any) -> tuple[int, int, int]:
        """virDomainGetControlInfo: state, details, ms since it began. Never waits for the hypervisor process.

        Where the driver does not say, the domain passes for free.

        Raises:
            libvirtError: the connection is lost.
        """
        self.calls += 1
        try:
            state, details, since_ms = domain.controlInfo()
        except self._connection.error_type as error:
            if is_transport(error):
                raise
            return OK, 0, 0
        return state, details, since_ms

    def _is_active(self, domain: Any) -> bool:
        try:
            return bool(domain.isActive())
        except self._connection.error_type as error:
            if is_transport(error):
                raise
            return False


def who(domain: Any) -> Who:
    """Answered by the handle itself: no round trip."""
    number = domain.ID()
    return Who(domain.name(), domain.UUIDString(), number if number >= 0 else None)
