"""Limits for shared targets, wherever they come from: the command line, a file to import, or the topic. Pure.

Whoever may write the topic names addresses and secret references for machines that are not theirs. What each machine
allows beyond these limits is its own policy, `producers.shared_targets.policy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from producers.fleet.libvirt_uri import check_shared_libvirt_uri
from producers.fleet.targets import FleetTarget, LibvirtTarget, RedfishTarget

MIN_INTERVAL_S: Final = 0.1
"""Shorter intervals would occupy a shared producer."""
MAX_HOST_LENGTH: Final = 253


def find_shared_problems(target: FleetTarget) -> Iterator[tuple[str, str]]:
    """Yields field and message of each value that a shared target must not have."""
    for host in sorted(target.hosts):
        if not is_shareable_host(host):
            field = "host" if host == target.host else "systems"
            yield field, f"a shared host has at most {MAX_HOST_LENGTH} characters, all printable"
    if target.interval is not None and target.interval < MIN_INTERVAL_S:
        yield "interval", f"shared targets are polled every {MIN_INTERVAL_S} s at most"
    if isinstance(target, LibvirtTarget):
        try:
            check_shared_libvirt_uri(target.uri)
        except ValueError as error:
            yield "uri", str(error)
    if isinstance(target, RedfishTarget):
        yield from _find_bmc_problems(target)


def is_shareable_host(host: str) -> bool:
    """True if a host name of the topic can be shown and published."""
    return 0 < len(host) <= MAX_HOST_LENGTH and host.isprintable()


def _find_bmc_problems(target: RedfishTarget) -> Iterator[tuple[str, str]]:
    for category, interval_s in target.intervals.items():
        if interval_s < MIN_INTERVAL_S:
            yield "intervals", f"{category}: shared targets are polled every {MIN_INTERVAL_S} s at most"
    if target.username is None and target.password is None:
        return
    if not target.address.startswith("https://"):
        yield "address", "a shared target with a password needs https"
    if target.verify is False:
        yield (
            "verify",
            "a shared target with a password needs a verified certificate: true, or a file of CA certificates",
        )
