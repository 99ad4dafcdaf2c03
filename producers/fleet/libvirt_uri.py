"""libvirt URI of a target: allow-lists of drivers, transports and parameters, for fleet files and the topic. Pure.

A URI can make libvirt's client run a program (`+ext`, `command`, `netcat`) and read local files (`keyfile`, `socket`).
The former is never allowed, the latter only in a local file, whose author has access to this machine anyway. Scripts
that pass a URI to `KVMConnector` themselves may use everything that libvirt supports.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from producers.fleet.network_address import parse_authority

MAX_LENGTH: Final = 1024
HYPERVISOR_DRIVERS: Final = frozenset({"qemu", "xen", "lxc", "ch", "bhyve", "vz", "vbox"})
"""Drivers behind a libvirt daemon."""
CLIENT_DRIVERS: Final = frozenset({"esx", "vpx", "hyperv"})
"""Drivers that log in to another product with the passwords of libvirt's `auth.conf`."""
TEST_DRIVER: Final = "test"
DRIVERS: Final = HYPERVISOR_DRIVERS | CLIENT_DRIVERS | {TEST_DRIVER}
REMOTE_TRANSPORTS: Final = frozenset({"tls", "tcp", "ssh", "libssh", "libssh2"})
TRANSPORTS: Final = REMOTE_TRANSPORTS | {"unix"}
"""All except `ext`, which runs a program."""
SHARED_PARAMETERS: Final = frozenset({"no_tty", "mode"})
"""Parameters of shared targets: they name no file and no program, and weaken no check."""
FILE_PARAMETERS: Final = SHARED_PARAMETERS | {
    "authfile", "keyfile", "known_hosts", "known_hosts_verify", "no_sanity", "no_verify", "pkipath", "socket",
    "sshauth", "tls_priority",
}  # fmt: skip
"""Parameters of targets in a local file. Others run a program (`command`, `netcat`) or are not needed."""
TEST_NODE: Final = "/default"
"""The built-in node of the test driver; every other path names an XML file."""
_PATHS: Final = frozenset({"", "/", "/system", "/session"})
"""Paths of hypervisor drivers. `embed` would run the driver in this process."""
_URI: Final = re.compile(r"([a-z]+)(?:\+([a-z0-9]+))?://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VALUE: Final = re.compile(r"[A-Za-z0-9_./,:+@!-]*")


class LibvirtUri(NamedTuple):
    """Parts of a valid libvirt URI."""

    driver: str
    transport: str | None
    user: str | None
    host: str
    """Empty: this machine."""
    path: str
    parameters: dict[str, str]


def check_libvirt_uri(uri: str) -> str:
    """Returns a URI of a local fleet file or the command line, if it is valid.

    Raises:
        ValueError: It is not; says why.
    """
    parse_libvirt_uri(uri)
    return uri


def check_shared_libvirt_uri(uri: str) -> str:
    """Returns a URI that may come from the topic, if it is valid.

    Raises:
        ValueError: It is not, or names a program, a file or a check that is local to the producer.
    """
    parts = parse_libvirt_uri(uri)
    refused = sorted(parts.parameters.keys() - SHARED_PARAMETERS)
    if refused:
        raise ValueError(
            f"parameter {refused[0]} is not allowed for shared targets (only {', '.join(sorted(SHARED_PARAMETERS))})"
        )
    if parts.driver in CLIENT_DRIVERS:
        raise ValueError(f"driver {parts.driver} cannot be shared: it sends passwords of the producer's auth.conf")
    if parts.driver == TEST_DRIVER and parts.path != TEST_NODE:
        raise ValueError(f"{parts.path or 'no path'} names a file of the producer: only test:///default can be shared")
    if parts.driver != TEST_DRIVER and not parts.host:
        raise ValueError(
            "it means the machine of the producer that polls it: name the host, as in qemu+tls://kvm-1/system"
        )
    if parts.transport is not None and parts.transport not in REMOTE_TRANSPORTS:
        raise ValueError(f"transport {parts.transport} cannot be shared: use {', '.join(sorted(REMOTE_TRANSPORTS))}")
    return uri


def parse_libvirt_uri(uri: str) -> LibvirtUri:
    """Parses a URI. Messages never contain a password.

    Raises:
        ValueError: It is malformed, or has a driver, transport or parameter that is not allowed.
    """
    match = _URI.fullmatch(uri) if len(uri) <= MAX_LENGTH and uri.isprintable() else None
    if match is None or " " in uri or "\\" in uri:
        raise ValueError("expected a libvirt URI such as qemu:///system or qemu+tls://kvm-1/system")
    driver, transport, netloc, path, query = match.groups(default="")
    if driver not in DRIVERS:
        raise ValueError(f"driver {driver} is not one of {', '.join(sorted(DRIVERS))}")
    if transport and transport not in TRANSPORTS:
        reason = ", which would run a program," if transport == "ext" else ""
        raise ValueError(f"transport {transport}{reason} is not one of {', '.join(sorted(TRANSPORTS))}")
    user, host = None, ""
    if netloc:
        user, host, _ = parse_authority(netloc)
        if user is not None and ":" in user:
            raise ValueError("no password in the URI: libvirt does not use it")
        if user is not None and not _USER.fullmatch(user):
            raise ValueError("the user may have letters, digits and _ . - only")
    if driver in HYPERVISOR_DRIVERS and path not in _PATHS:
        raise ValueError(f"path {path[:80]} is not one of /system, /session")
    return LibvirtUri(driver, transport or None, user, host, path, _parse_parameters(query) if query else {})


def _parse_parameters(query: str) -> dict[str, str]:
    """Parses parameters, which libvirt also separates by `;`. Percent-encoding is not needed and refused."""
    parameters: dict[str, str] = {}
    for parameter in re.split("[&;]", query):
        name, _, value = parameter.partition("=")
        if name not in FILE_PARAMETERS:
            raise ValueError(f"parameter {name[:80]!r} is not one of {', '.join(sorted(FILE_PARAMETERS))}")
        if name in parameters:
            raise ValueError(f"parameter {name} is given twice")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of parameter {name} has characters that are not allowed")
        parameters[name] = value
    return parameters
