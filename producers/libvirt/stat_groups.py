"""Surveys which statistics a driver reports, group by group, for `rackstream probe`."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from typing import Final, TypedDict

from producers.libvirt.bulk_stats import LibvirtCalls
from producers.libvirt.connection import error_cause, is_connection_error

GROUPS: Final = {
    "state": 1,
    "cpu": 2,
    "balloon": 4,
    "vcpu": 8,
    "interface": 16,
    "block": 32,
    "perf": 64,
    "iothread": 128,
    "memory": 256,
    "dirtyrate": 512,
    "vm": 1024,
}
"""virDomainStatsTypes; the first six make the records."""
INDEX: Final = re.compile(r"\.\d+(?=\.|$)")


class GroupSurvey(TypedDict):
    """Result of reading a group of statistics for all domains."""

    seconds: float
    """Duration of the call."""
    keys: list[str]
    """Keys reported, with N for a device's number."""
    error: str | None


def survey(calls: LibvirtCalls, error_type: type[Exception], skipped: Collection[str]) -> dict[str, GroupSurvey]:
    """Reads each group of statistics for all active domains.

    Args:
        calls: Calls on the connection.
        error_type: libvirtError.
        skipped: UUIDs of domains that are not read.

    Raises:
        libvirtError: The connection is lost.
    """
    domains = [domain for domain in calls.list_active() if domain.UUIDString() not in skipped]
    groups: dict[str, GroupSurvey] = {}
    for group, bit in GROUPS.items():
        started_s = time.monotonic()
        keys: set[str] = set()
        cause = None
        try:
            for _, stats in calls.get_stats(domains, bit):
                keys.update(INDEX.sub(".N", key) for key in stats)
        except error_type as error:
            if is_connection_error(error):
                raise
            cause = error_cause(error)
        groups[group] = {"seconds": time.monotonic() - started_s, "keys": sorted(keys), "error": cause}
    return groups
