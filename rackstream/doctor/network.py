"""Is a machine reached: is its name resolved, and does its port take connections?"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Final

from rackstream.doctor.check import Check, Finding, fail, ok

SHOWN: Final = 3
"""Addresses of one name that are told."""
DNS_LATE: Final = "no DNS server answers: look at /etc/resolv.conf, or give the address instead of the name"


def checks(host: str, port: int, timeout_s: float, *, what: str) -> list[Check]:
    """The two of them. `what`: BMC, proxy, libvirt, as people call what should listen."""
    return [
        Check("name", lambda: name(host), ("target",), timeout_s, DNS_LATE),
        Check("port", lambda: port_open(host, port, timeout_s, what), ("name",), timeout_s + 1),
    ]


def name(host: str) -> Finding:
    """Whether a name has an address."""
    try:
        return ok(f"{ipaddress.ip_address(host.partition('%')[0])} is an address")
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = (getattr(error, "strerror", None) or "no host name").lower()
        return fail(
            f"{host} is not resolved: {why}",
            f"check how it is spelt in the fleet file, and this machine's DNS: `getent hosts {host}`",
        )
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    more = f" and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    return ok(f"{host} is {', '.join(addresses[:SHOWN])}{more}")


def port_open(host: str, port: int, timeout_s: float, what: str) -> Finding:
    """Whether a port takes connections."""
    at, began_s = f"{host}:{port}", time.monotonic()
    try:
        socket.create_connection((host, port), timeout_s).close()
    except ConnectionRefusedError:
        return fail(
            f"{at} refuses connections: the machine is there, and nobody listens on that port",
            f"check the port, and whether the {what} is switched on",
        )
    except TimeoutError:
        return fail(
            f"{at} says nothing within {timeout_s:g} s: a firewall drops what is sent, or the machine is off",
            f"check the address, the {what}'s power and network, and the firewalls between here and there",
        )
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return fail(f"{at} is not reached: {why}", "check the address, and the routes of this machine: `ip route get`")
    return ok(f"{at} takes connections, after {1000 * (time.monotonic() - began_s):.0f} ms")
