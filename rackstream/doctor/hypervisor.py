"""Checks that a libvirt daemon is reachable and that its VMs answer."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from producers.fleet.targets import LibvirtTarget
from rackstream.doctor import network
from rackstream.doctor.check import CheckResult, DoctorCheck, fail, ok, warn
from rackstream.probe import libvirt as libvirt_probe
from rackstream.text.units import quantity

PORTS: Final = {"ssh": 22, "libssh": 22, "libssh2": 22, "tls": 16514, "tcp": 16509}
"""Transport of a libvirt URI → its port. https://libvirt.org/uri.html"""


def checks(target: LibvirtTarget, timeout_s: float) -> list[DoctorCheck]:
    """Returns the checks from the machine's name, if it is another one, to its VMs."""
    parts = urlsplit(target.uri)
    transport = parts.scheme.partition("+")[2] or ("tls" if parts.hostname else "")
    network_checks: list[DoctorCheck] = []
    if parts.hostname and transport in PORTS:
        port = parts.port or PORTS[transport]
        network_checks = network.checks(parts.hostname, port, timeout_s, service="daemon (or sshd)")
    needs = network_checks[-1].name if network_checks else "target"
    connection = DoctorCheck("connection", lambda: _connection(target, timeout_s), (needs,), 2 * timeout_s + 4)
    return [*network_checks, connection]


def _connection(target: LibvirtTarget, timeout_s: float) -> CheckResult:
    result = libvirt_probe.probe(target.uri, timeout_s)
    if result["status"] == "auth_failed":
        return fail(
            f"libvirt rejects the login: {result['error']}",
            "add the producer's user to the group `libvirt`, or configure the daemon's authentication",
        )
    if result["error"] is not None:
        return fail(
            f"no libvirt connection: {result['error']}",
            f"run `virsh -c '{display_uri(target.uri)}' list` as the producer's user; check that libvirtd runs",
        )
    summary = (
        f"{result['hypervisor']} {result['version']}, libvirt {result['libvirt']}: {quantity(len(result['vms']), 'VM')}"
    )
    if result["hung"]:
        return warn(
            f"{summary}, some of which hang",
            "find what blocks their QEMU process, such as storage",
            result["hung"],
        )
    return ok(summary)


def display_uri(uri: str) -> str:
    """Strips the user and the query from a URI."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
