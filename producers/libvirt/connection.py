"""Read-only libvirt connection, opened at first use, and the meaning of libvirt's errors."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Any, Final

from producers.reader import PollFailed
from runtime.errors import Misconfigured

LibvirtModule = Any
VirConnect = Any
VirDomain = Any
"""libvirt-python has no types."""
LibvirtError = Any
"""A `libvirt.libvirtError`, which cannot be named without importing libvirt."""

# Numbers of virErrorNumber and virErrorDomain, part of libvirt's stable ABI.
NO_SUPPORT: Final = 3
NO_DOMAIN: Final = 42
OPERATION_INVALID: Final = 55
AUTH_ERRORS: Final = frozenset({45, 79, 88, 94})
"""AUTH_FAILED, AUTH_CANCELLED, ACCESS_DENIED, AUTH_UNAVAILABLE."""
CONNECTION_ERROR_DOMAINS: Final = frozenset({7, 13})
"""VIR_FROM_RPC, VIR_FROM_REMOTE: errors of the connection itself, not of a driver."""
CAUSES: Final = {
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
"""Up to the last @, because a password may hold an unescaped slash. Matches only URIs that name a server."""


NEEDS_PACKAGE: Final = (
    "libvirt targets need the package libvirt-python, which cannot be imported ({}): run `make setup`"
)


class DomainGone(Exception):
    """The domain is no longer active."""


def require_libvirt() -> None:
    """Checks that libvirt-python is installed, without importing it.

    Raises:
        Misconfigured: It is not installed.
    """
    try:
        spec = importlib.util.find_spec("libvirt")
    except ValueError:
        spec = None
    if spec is None:
        raise Misconfigured(NEEDS_PACKAGE.format("it is not installed"))


def load_libvirt() -> LibvirtModule:
    """Imports the libvirt module and silences its printing of errors.

    Raises:
        Misconfigured: It cannot be imported.
    """
    try:
        import libvirt
    except ImportError as error:
        raise Misconfigured(NEEDS_PACKAGE.format(error)) from error
    # The default handler prints to stderr what is raised as an exception anyway.
    libvirt.registerErrorHandler(_ignore_error, None)
    return libvirt


def _ignore_error(_context: object, _error: object) -> None:
    pass


def without_credentials(uri: str) -> str:
    """Strips user and password from a URI."""
    return USERINFO.sub(r"\1", uri)


def error_code(error: LibvirtError) -> int:
    """Returns the virErrorNumber of a libvirtError."""
    code: int = error.get_error_code()
    return code


def error_cause(error: LibvirtError) -> str:
    """Describes a libvirtError, without the domain, so that equal causes count as one."""
    code = error_code(error)
    return CAUSES.get(code, f"libvirt error {code}")


def is_connection_error(error: LibvirtError) -> bool:
    """True if the connection failed, rather than the call made over it."""
    # An older daemon reports an unknown procedure as an RPC error; that is a missing feature only.
    return error.get_error_domain() in CONNECTION_ERROR_DOMAINS and error.get_error_code() != NO_SUPPORT


OnOpen = Callable[[VirConnect], Callable[[], None]]
"""Called with each newly opened virConnect; returns the function to call before that one is closed."""


def _do_nothing() -> None:
    pass


class LibvirtConnection:
    """Opens on demand, and again after `close` or a failure.

    For a single thread: the client library of libvirt 9 stalls when threads share a connection.
    """

    def __init__(self, uri: str, libvirt: LibvirtModule, on_open: OnOpen = lambda _: _do_nothing) -> None:
        self._libvirt = libvirt
        self._uri = uri
        self._on_open = on_open
        self._before_close = _do_nothing
        self._handle: VirConnect | None = None
        self.address = without_credentials(uri)
        self.open_count = 0
        """Times the connection was opened: each time a different daemon may answer."""
        self.hypervisor: str | None = None
        """Driver of the connection (virConnectGetType), such as QEMU."""

    @property
    def error_type(self) -> type[Exception]:
        """libvirtError, for `except` clauses of modules that must be importable without libvirt."""
        error_type: type[Exception] = self._libvirt.libvirtError
        return error_type

    def open(self) -> VirConnect:
        """Returns the open virConnect.

        Raises:
            libvirtError: The connection cannot be opened.
        """
        if self._handle is not None and self._handle.isAlive() != 1:
            self.close()
        if self._handle is None:
            handle = self._libvirt.openReadOnly(self._uri)
            self.hypervisor = handle.getType()
            self._before_close = self._on_open(handle)
            self._handle = handle
            self.open_count += 1
        return self._handle

    @property
    def handle(self) -> VirConnect | None:
        """The current virConnect; None if closed."""
        return self._handle

    def close(self) -> None:
        """Closes the connection; never raises."""
        handle, self._handle = self._handle, None
        before_close, self._before_close = self._before_close, _do_nothing
        if handle is not None:
            before_close()
            try:
                handle.close()
            except self._libvirt.libvirtError:
                return  # already dead

    def poll_failure(self, error: LibvirtError) -> PollFailed:
        """Converts a libvirtError into the failure of a poll, without credentials."""
        status = "auth_failed" if error.get_error_code() in AUTH_ERRORS else "unreachable"
        message = str(error).replace(self._uri, self.address)
        return PollFailed(status, f"libvirt {self.address}: {message}")
