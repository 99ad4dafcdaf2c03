"""`rackstream probe` of a hypervisor: what one libvirt connection gives, as plain data and as tables."""

from __future__ import annotations

import time
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from producers.fleet.config import LibvirtTarget
from producers.libvirt import LibvirtReader, create_reader
from producers.libvirt.stat_groups import GROUPS
from producers.reader import PollFailed
from rackstream.probe.target import Access
from runtime.errors import Misconfigured, Retry
from sinks.datasets import STATES

INTERVAL_S: Final = 60.0
VMS_SHOWN: Final = 40
OURS: Final = tuple(GROUPS)[:6]
"""The groups that records are made of."""


def probe(uri: str, timeout_s: float = 30.0) -> dict[str, Any]:
    """What the connection gives: `status`, `error`; if it is up, also who answers, groups, VMs, what lacks or hangs.

    `*_s` are seconds. The figures are read twice: `first_s` includes the domains' XML and finding out what hangs.

    Raises:
        Misconfigured: libvirt-python is not installed.
    """
    source = create_reader(LibvirtTarget(host="probe", uri=uri), INTERVAL_S)
    try:
        return _ask(source, timeout_s)
    except PollFailed as failed:
        return {"address": source.address, "status": failed.status, "error": str(failed)}
    finally:
        source.close()


def target_of(uri: str, access: Access) -> LibvirtTarget:
    """The target at a libvirt URI.

    Raises:
        Misconfigured: options for BMCs were given.
    """
    if access != Access():
        raise Misconfigured(
            "options for a login or a certificate are for BMCs: a libvirt URI says itself how to get in"
        )
    return LibvirtTarget(host="probe", uri=uri)


def probe_target(target: LibvirtTarget, timeout_s: float) -> dict[str, Any]:
    """The same as `probe`, for the command.

    Raises:
        Misconfigured: libvirt-python is not installed, or the login is refused.
        Retry: there is no connection.
    """
    found = probe(target.uri, timeout_s)
    if found["error"] is not None:
        kind = Misconfigured if found["status"] == "auth_failed" else Retry
        raise kind(f"{found['error']}: does libvirt run there, and may this user connect to it?")
    return {"source": "libvirt", "whole": found["status"] == "up", **found}


def _ask(source: LibvirtReader, timeout_s: float) -> dict[str, Any]:
    times = []
    for _ in range(2):
        calls, began_s = source.facts().requests or 0, time.monotonic()
        sample = source.read("domains", timeout_s)
        times.append(time.monotonic() - began_s)
    hung, facts = source.facts().left_out, source.facts()
    try:
        groups = source.survey(timeout_s)
    except PollFailed:
        groups = {}  # a domain began to hang
    domains = sorted(sample.body["domains"], key=lambda each: each["name"])
    return {
        "address": source.address,
        "status": "partial" if sample.problems.whole else "up",
        "error": None,
        **source.described,
        "bulk": any(groups[name]["keys"] for name in OURS[1:] if name in groups),
        "first_s": times[0],
        "round_s": times[1],
        "round_calls": (facts.requests or 0) - calls,
        "groups": groups,
        "vms": [_vm(domain) for domain in domains],
        "missing": [dict(record) for record in sample.problems.as_records()],
        "hung": list(hung),
    }


def _vm(domain: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "uuid", "cpus", "memory_max_kb", "stale", "cloud_name", "cloud_project", "cloud_flavor")
    state = domain["state"]
    return {name: domain[name] for name in names} | {
        "state": STATES[state] if state < len(STATES) else "unknown",
        "nics": [nic["device"] for nic in domain["nics"]],
        "disks": [disk["device"] for disk in domain["disks"]],
        "guest_memory": domain["memusable"] is not None,
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Prints what `probe` found."""
    if found["error"] is not None:
        console.print(f"[red]{found['status']}[/red]  {found['error']}", highlight=False)
        return
    way = "bulk calls" if found["bulk"] else "a call per device"
    console.print(
        f"{found['hypervisor']} {found['version']}, libvirt {found['libvirt']} at {found['address']}: "
        f"{found['status']}\n"
        f"{len(found['vms'])} active VMs by {way}: {found['round_s'] * 1000:.0f} ms and {found['round_calls']} calls "
        f"a round, the first {found['first_s'] * 1000:.0f} ms",
        highlight=False,
    )
    for name in found["hung"]:
        console.print(f"[red]{name} hangs[/red]: its hypervisor process does not answer libvirt", highlight=False)
    groups = Table("group", "used", "keys", "ms", "error", title="Figures in bulk")
    for name, each in found["groups"].items():
        used = "yes" if name in OURS and found["bulk"] else ""
        groups.add_row(name, used, str(len(each["keys"])), f"{each['seconds'] * 1000:.1f}", each["error"] or "")
    console.print(groups)
    console.print(_vms(found["vms"]))
    if found["missing"]:
        missing = Table("field", "why", "how many", title="What is not known")
        for each in found["missing"]:
            missing.add_row(each["field"], each["cause"], str(each["count"]))
        console.print(missing)


def _vms(vms: list[dict[str, Any]]) -> Table:
    more = f" (the first {VMS_SHOWN} of {len(vms)})" if len(vms) > VMS_SHOWN else ""
    table = Table("VM", "state", "CPUs", "memory", "NICs", "disks", "guest memory", "cloud", title=f"VMs{more}")
    for vm in vms[:VMS_SHOWN]:
        memory = "" if vm["memory_max_kb"] is None else f"{vm['memory_max_kb'] / 1024:.0f} MiB"
        cloud = " / ".join(filter(None, (vm["cloud_project"], vm["cloud_name"], vm["cloud_flavor"])))
        state = f"{vm['state']}, hangs" if vm["stale"] else vm["state"]
        told = "known" if vm["guest_memory"] else "not told"
        table.add_row(
            vm["name"], state, str(vm["cpus"] or ""), memory, " ".join(vm["nics"]), " ".join(vm["disks"]), told, cloud
        )
    return table
