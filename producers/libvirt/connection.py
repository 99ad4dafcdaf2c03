"""One libvirt connection, opened read-only at first use, and what libvirt's errors mean. Knows no record."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Any, Final

from producers.reader import PollFailed
from runtime.errors import Misconfigured

# Numbers of virErrorNumber and virErrorDomain, fixed for ever by libvirt's ABI.
NO_SUPPORT: Final = 3
NO_DOMAIN: Final = 42
OPERATION_INVALID: Final = 55
AUTHENTICATION: Final = frozenset({45, 79, 88, 94})
"""AUTH_FAILED, AUTH_CANCELLED, ACCESS_DENIED, AUTH_UNAVAILABLE."""
TRANSPORT: Final = frozenset({7, 13})
"""VIR_FROM_RPC, VIR_FROM_REMOTE: the connection's own errors, not a driver's."""
MEANINGS: Final = {
    1: "internal error",
    NO_SUPPORT: "not supported by the driver",
    8: "device unknown to libvirt",
    38: "system error",
    NO_DOMAIN: "domain gone",
    OPERATION_INVALID: "domain not running",
    68: "the hypervisor did not answer in time",
    84: "not supported for this domain",
}
USERINFO: Final = re.compile(r"^([^:/?#]+://)(?!/)[^?#]*@")
"""Up to the last @: a password may hold a slash that should have been escaped. Not where the URI has no server."""


MISSING: Final = "libvirt targets need the package libvirt-python, which cannot be imported ({}): run `make setup`"


def require() -> None:
    """Checks that the libvirt module is there, without loading it.

    Raises:
        Misconfigured: it is not.
    """
    try:
        found = importlib.util.find_spec("libvirt")
    except ValueError:
        found = None
    if found is None:
        raise Misconfigured(MISSING.format("it is not installed"))


def library() -> Any:
    """The libvirt module, told to print nothing.

    Raises:
        Misconfigured: it is not there.
    """
    try:
        import libvirt
    except ImportError as error:
        raise Misconfigured(MISSING.format(error)) from error
    libvirt.registerErrorHandler(_silent, None)  # the default one prints to stderr what is raised as well
    return libvirt


def _silent(_context: object, _error: object) -> None:
    pass


def without_credentials(uri: str) -> str:
    """The URI without user and password."""
    return USERINFO.sub(r"\1", uri)


def code_of(error: Any) -> int:
    """The virErrorNumber of a libvirtError."""
    code: int = error.get_error_code()
    return code


def cause(error: Any) -> str:
    """A libvirtError in words that name no domain, so that equal causes count as one."""
    code = code_of(error)
    return MEANINGS.get(code, f"libvirt error {code}")


def is_transport(error: Any) -> bool:
    """Whether the connection failed, not what was asked on it."""
    # An older daemon's "unknown procedure" comes from the transport too, and is just a missing feature.
    return error.get_error_domain() in TRANSPORT and error.get_error_code() != NO_SUPPORT


Opened = Callable[[Any], Callable[[], None]]


def _nothing() -> None:
    pass


class Connection:
    """Opens at need; after `close` or a failure, opens anew. For one thread: libvirt 9's client stalls when shared.

    `opened` is told each new virConnect, and returns what is to be called before it is closed.
    """

    def __init__(self, uri: str, libvirt: Any, opened: Opened = lambda _: _nothing) -> None:
        self._libvirt = libvirt
        self._uri = uri
        self._tell = opened
        self._release = _nothing
        self._handle: Any = None
        self.address = without_credentials(uri)
        self.opened = 0
        """How often it was opened: after a new opening, another daemon may answer."""
        self.hypervisor: str | None = None
        """Driver of the connection (virConnectGetType), such as QEMU."""

    @property
    def error_type(self) -> type[Exception]:
        """libvirtError, for `except` clauses of modules that must be importable without libvirt."""
        kind: type[Exception] = self._libvirt.libvirtError
        return kind

    def open(self) -> Any:
        """The virConnect.

        Raises:
            libvirtError: there is no connection to be had.
        """
        if self._handle is not None and self._handle.isAlive() != 1:
            self.close()
        if self._handle is None:
            handle = self._libvirt.openReadOnly(self._uri)
            self.hypervisor = handle.getType()
            self._release = self._tell(handle)
            self._handle = handle
            self.opened += 1
        return self._handle

    @property
    def handle(self) -> Any:
        """The virConnect as it is; None: not open."""
        return self._handle

    def close(self) -> None:
        """Lets the connection go; never raises."""
        handle, self._handle = self._handle, None
        release, self._release = self._release, _nothing
        if handle is not None:
            release()
            try:
                handle.close()
            except self._libvirt.libvirtError:
                # It was dead already.
                return

    def failure(self, error: Any) -> PollFailed:
        """What a failed poll says."""
        status = "auth_failed" if error.get_error_code() in AUTHENTICATION else "unreachable"
        message = str(error).replace(self._uri, self.address)
        return PollFailed(status, f"libvirt {self.address}: {message}")
