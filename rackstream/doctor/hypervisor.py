"""A libvirt connection, asked as its producer asks it: is the daemon reached, and what does it give?"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from producers.fleet.config import LibvirtTarget
from rackstream.doctor import network
from rackstream.doctor.check import Check, Finding, count, fail, ok, warn
from rackstream.probe import libvirt as probing

PORTS: Final = {"ssh": 22, "libssh": 22, "libssh2": 22, "tls": 16514, "tcp": 16509}
"""Transport of a libvirt URI → its port. https://libvirt.org/uri.html"""


def checks(target: LibvirtTarget, timeout_s: float) -> list[Check]:
    """From its name, where it is another machine, to its VMs."""
    parts = urlsplit(target.uri)
    transport = parts.scheme.partition("+")[2] or ("tls" if parts.hostname else "")
    path: list[Check] = []
    if parts.hostname and transport in PORTS:
        path = network.checks(parts.hostname, parts.port or PORTS[transport], timeout_s, what="daemon (or sshd)")
    connection = Check(
        "connection", lambda: _connection(target, timeout_s), (path[-1].name if path else "target",), 2 * timeout_s + 4
    )
    return [*path, connection]


def _connection(target: LibvirtTarget, timeout_s: float) -> Finding:
    found = probing.probe(target.uri, timeout_s)
    if found["status"] == "auth_failed":
        return fail(
            f"libvirt refuses the login: {found['error']}",
            "let the user of the producer in: group `libvirt`, or the daemon's authentication",
        )
    if found["error"] is not None:
        return fail(
            f"no libvirt connection: {found['error']}",
            f"does `virsh -c '{shown(target.uri)}' list` answer, as the user of the producer? is libvirtd started?",
        )
    told = f"{found['hypervisor']} {found['version']}, libvirt {found['libvirt']}: {count(len(found['vms']), 'VM')}"
    if found["hung"]:
        return warn(
            f"{told}, of which some hang", "look at what blocks their QEMU process, such as storage", found["hung"]
        )
    return ok(told)


def shown(uri: str) -> str:
    """Without a user and what follows a question mark."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
