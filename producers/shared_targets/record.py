"""Targets that producers of one group divide: entries of a fleet file as records of their topic, and back. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from producers.fleet.config import AnyTarget, LibvirtTarget, RedfishTarget

Record = dict[str, Any]
"""A Target."""
SOURCES: Final = ("redfish", "libvirt")
"""What can be read from anywhere; `host` is the machine that a producer runs on."""
GROUP: Final = "rackstream-producers-"
"""What their consumer groups begin with; the source follows."""
FIELDS: Final = ("username", "password", "proxy", "systems")
"""Of a BMC, the same in file and record."""
BOTH: Final = {"true": True, "false": False}


def record(source: str, target: AnyTarget) -> Record:
    """The record of a target that is complete."""
    found: Record = {
        "source": source,
        "host": target.host,
        "labels": dict(target.labels),
        "interval_s": target.interval,
        "intervals_s": {},
        "username": None,
        "password": None,
        "verify": "true",
        "proxy": None,
        "systems": {},
        "removed": False,
    }
    if isinstance(target, RedfishTarget):
        found |= {name: getattr(target, name) for name in FIELDS}
        verify = str(target.verify) if isinstance(target.verify, Path) else str(target.verify).lower()
        return found | {"address": target.address, "intervals_s": dict(target.intervals), "verify": verify}
    return found | {"address": getattr(target, "uri", "")}


def settings(found: Record) -> dict[str, Any]:
    """A record as an entry of a fleet file."""
    common = {"host": found["host"], "labels": found["labels"]}
    if found["interval_s"] is not None:
        common["interval"] = found["interval_s"]
    if found["source"] != "redfish":
        return common | {"uri": found["address"]}
    verify = BOTH.get(found["verify"], found["verify"])
    own = {name: found[name] for name in FIELDS if found[name]}
    return common | own | {"address": found["address"], "verify": verify, "intervals": found["intervals_s"]}


def target(found: Record) -> AnyTarget:
    """The target of a record.

    Raises:
        ValueError: it is none that this code knows, such as one written by hand.
    """
    kind: type[LibvirtTarget | RedfishTarget] = RedfishTarget if found["source"] == "redfish" else LibvirtTarget
    return kind.model_validate(settings(found))
