"""Checks that a host name resolves and that its port accepts connections."""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Final

from rackstream.doctor.check import CheckResult, DoctorCheck, fail, ok

MAX_ADDRESSES: Final = 3
"""Addresses of one name that are listed."""
DNS_TIMEOUT_ADVICE: Final = (
    "no DNS server answers: check /etc/resolv.conf, or configure the address instead of the name"
)


def checks(host: str, port: int, timeout_s: float, *, service: str) -> list[DoctorCheck]:
    """Returns the two checks. `service` names what should listen: BMC, proxy, libvirt."""
    return [
        DoctorCheck("name", lambda: check_name(host), ("target",), timeout_s, DNS_TIMEOUT_ADVICE),
        DoctorCheck("port", lambda: check_port(host, port, timeout_s, service), ("name",), timeout_s + 1),
    ]


def check_name(host: str) -> CheckResult:
    """Checks that a name has an address."""
    try:
        return ok(f"{ipaddress.ip_address(host.partition('%')[0])} is an address")
    except ValueError:
        pass
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or "no host name").lower()
        return fail(
            f"{host} is not resolved: {reason}",
            f"check its spelling in the fleet file, and this machine's DNS: `getent hosts {host}`",
        )
    addresses = list(dict.fromkeys(str(socket_address[0]) for _, _, _, _, socket_address in infos))
    more = f" and {len(addresses) - MAX_ADDRESSES} more" if len(addresses) > MAX_ADDRESSES else ""
    return ok(f"{host} is {', '.join(addresses[:MAX_ADDRESSES])}{more}")


def check_port(host: str, port: int, timeout_s: float, service: str) -> CheckResult:
    """Checks that a port accepts connections."""
    address, started_s = f"{host}:{port}", time.monotonic()
    try:
        socket.create_connection((host, port), timeout_s).close()
    except ConnectionRefusedError:
        return fail(
            f"{address} refuses connections: the machine is up, but nothing listens on that port",
            f"check the port, and that the {service} is enabled",
        )
    except TimeoutError:
        return fail(
            f"no answer from {address} within {timeout_s:g} s: a firewall drops packets, or the machine is off",
            f"check the address, the {service}'s power and network, and the firewalls in between",
        )
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return fail(
            f"{address} is unreachable: {reason}", "check the address, and this machine's routes: `ip route get`"
        )
    return ok(f"{address} accepts connections, after {1000 * (time.monotonic() - started_s):.0f} ms")
