"""Makes calls on one libvirt connection for several threads, each with a timeout.

Threads wait for each other, because the client library of libvirt 9 stalls when threads share a connection. A domain
that hangs costs the timeout once; until it answers, it is not called again, and the others are called over a new
connection.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final

from producers.libvirt.connection import (
    NO_DOMAIN,
    OPERATION_INVALID,
    DomainGone,
    LibvirtConnection,
    VirConnect,
    VirDomain,
    error_cause,
    error_code,
    is_connection_error,
    load_libvirt,
)
from producers.libvirt.scripting.call_timeout import CallTimedOut, CallTimeout
from producers.libvirt.scripting.warnings import StatOwner, StatWarnings

CallFunction = Callable[[VirDomain, type[Exception]], Any]
"""Makes one call, or several that count as one. Takes the domain and the type libvirtError."""
HOST: Final = ""
"""Key of calls that concern no single domain."""


def stat_owner(domain: VirDomain, *arguments: object) -> StatOwner:
    """Returns the domain or device that a call is about."""
    return (domain.UUIDString(), *(argument for argument in arguments if isinstance(argument, str)))


class LibvirtCaller:
    """Opens the connection on demand, and again after it was lost.

    Hold `lock` to make several calls as one.
    """

    def __init__(self, uri: str, timeout_s: float) -> None:
        self._uri = uri
        self._timeout = CallTimeout(timeout_s)
        self.lock = threading.RLock()
        self._current: LibvirtConnection | None = None
        self._abandoned: weakref.WeakSet[VirConnect] = weakref.WeakSet()
        """Abandoned connections: their domains are looked up again on the current one."""
        self.warnings = StatWarnings()

    @property
    def timeout_s(self) -> float:
        """Timeout of one call, in seconds."""
        return self._timeout.timeout_s

    @property
    def is_open(self) -> bool:
        """True if the connection is open, as far as the client library can tell."""
        with self.lock:
            handle = None if self._current is None else self._current.handle
            return handle is not None and handle.isAlive() == 1

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        with self.lock:
            connection = self._abandon()
            if connection is not None:
                with contextlib.suppress(CallTimedOut):
                    self._timeout.call(HOST, connection.close)

    def call_or_warn(
        self, domain: VirDomain, method: str, *arguments: object, function: CallFunction | None = None
    ) -> Any:
        """Makes one call on a domain.

        Returns None after a warning if it failed, also if the domain is gone.
        """
        try:
            return self.call(domain, method, *arguments, function=function)
        except DomainGone as gone:
            self.warnings.add(method, str(gone), stat_owner(domain, *arguments), domain.name())
            return None

    def call(self, domain: VirDomain, method: str, *arguments: object, function: CallFunction | None = None) -> Any:
        """Makes one call on a domain. Returns None after a warning if it failed.

        Args:
            domain: The domain.
            method: Method to call, and the name used in warnings.
            *arguments: Arguments of the method.
            function: Called instead of the method.

        Raises:
            DomainGone: The domain is no longer active.
        """
        with self.lock:
            connection = self._connection()

            def call() -> Any:
                current = self._rebind(domain, connection)
                return function(current, connection.error_type) if function else getattr(current, method)(*arguments)

            try:
                result = self._timeout.call(domain.UUIDString(), call)
                self.warnings.resolve(method, stat_owner(domain, *arguments))
                return result
            except CallTimedOut as timed_out:
                if timed_out.is_new:
                    self._abandon()  # a call that hangs blocks its whole connection
                cause = str(timed_out)
            except connection.error_type as error:
                is_lost, cause = is_connection_error(error), error_cause(error)
                if not is_lost and error_code(error) in (NO_DOMAIN, OPERATION_INVALID):
                    raise DomainGone(cause) from None
                if is_lost:
                    self._abandon()
            self.warnings.add(method, cause, stat_owner(domain, *arguments), domain.name())
            return None

    def call_connection(self, function: Callable[[VirConnect], Any]) -> Any:
        """Makes one call on the connection, opening it if necessary.

        Raises:
            ConnectionError: It cannot be opened, or was lost.
            TimeoutError: libvirt did not answer in time.
        """
        with self.lock:
            connection = self._connection()
            try:
                return self._timeout.call(HOST, lambda: function(connection.open()))
            except CallTimedOut as timed_out:
                if timed_out.is_new:
                    self._abandon()
                raise TimeoutError(f"libvirt {connection.address}: {timed_out}") from None
            except connection.error_type as error:
                self._abandon()
                # The original message may contain user and password.
                raise ConnectionError(str(connection.poll_failure(error))) from None

    def _connection(self) -> LibvirtConnection:
        """Returns the current connection, which may not be open yet."""
        if self._current is None:
            self._current = LibvirtConnection(self._uri, load_libvirt())
        return self._current

    def _abandon(self) -> LibvirtConnection | None:
        """Stops using the current connection. It closes with the last domain that belongs to it."""
        connection, self._current = self._current, None
        if connection is not None and connection.handle is not None:
            self._abandoned.add(connection.handle)
        return connection

    def _rebind(self, domain: VirDomain, connection: LibvirtConnection) -> VirDomain:
        """Returns the domain, looked up again on the current connection if its own was abandoned."""
        if domain.connect() in self._abandoned:
            return connection.open().lookupByUUIDString(domain.UUIDString())
        return domain
