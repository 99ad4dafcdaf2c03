"""What a driver gives, group by group of its figures: for a person who wants to know. I/O; makes no record."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from typing import Any, Final

from producers.libvirt.bulk_stats import Inquiry
from producers.libvirt.connection import cause, is_transport

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
"""virDomainStatsTypes; the first six make our records."""
NUMBER: Final = re.compile(r"\.\d+(?=\.|$)")


def survey(inquiry: Inquiry, error_type: type[Exception], out: Collection[str]) -> dict[str, Any]:
    """Group → `seconds` of its call over all domains but those left `out`, `keys` given, or `error`.

    Raises:
        libvirtError: the connection is lost.
    """
    listed = [domain for domain in inquiry.active() if domain.UUIDString() not in out]
    found: dict[str, Any] = {}
    for group, bit in GROUPS.items():
        began_s = time.monotonic()
        keys: set[str] = set()
        error = None
        try:
            for _, stats in inquiry.figures(listed, bit):
                keys.update(NUMBER.sub(".N", key) for key in stats)
        except error_type as failed:
            if is_transport(failed):
                raise
            error = cause(failed)
        found[group] = {"seconds": time.monotonic() - began_s, "keys": sorted(keys), "error": error}
    return found
