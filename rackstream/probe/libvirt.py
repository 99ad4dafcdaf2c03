"""Probes a hypervisor: the statistics and VMs of one libvirt connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Required, TypedDict, cast

from rich.console import Console
from rich.table import Table

from producers.fleet.libvirt_uri import check_libvirt_uri
from producers.fleet.targets import LibvirtTarget
from producers.libvirt import LibvirtReader, create_reader
from producers.libvirt.connection import without_credentials
from producers.libvirt.stat_groups import GROUPS, GroupSurvey
from producers.reader import PollFailed
from rackstream.probe.target import LoginOptions
from runtime.errors import Misconfigured, Retry
from sinks.datasets import STATES

if TYPE_CHECKING:
    from schemas.records import Domain, PollError

INTERVAL_S: Final = 60.0
MAX_VMS: Final = 40
"""VMs that are listed."""
RECORD_GROUPS: Final = tuple(GROUPS)[:6]
"""The groups of statistics that records are made of."""


class VmProbe(TypedDict):
    """A VM of a probed hypervisor."""

    name: str
    uuid: str
    cpus: int | None
    memory_max_kb: int | None
    stale: bool
    cloud_name: str | None
    cloud_project: str | None
    cloud_flavor: str | None
    state: str
    nics: list[str]
    disks: list[str]
    guest_memory: bool
    """True if the guest reports its memory."""


class LibvirtProbe(TypedDict, total=False):
    """Result of probing a connection; only address, status and error if it cannot be read."""

    source: str
    whole: bool
    address: Required[str]
    status: Required[str]
    """As of `TargetStatus`."""
    error: Required[str | None]
    hypervisor: str | None
    version: str | None
    libvirt: str | None
    bulk: bool
    """True if the driver reports statistics in bulk."""
    first_s: float
    """Seconds of the first poll, which reads the domains' XML and finds out which hang."""
    round_s: float
    """Seconds of the second poll."""
    round_calls: int
    """Calls of the second poll."""
    groups: dict[str, GroupSurvey]
    vms: list[VmProbe]
    missing: list[PollError]
    hung: list[str]


def probe(uri: str, timeout_s: float = 30.0) -> LibvirtProbe:
    """Reads a connection twice, to show the cost of the first poll and of the later ones.

    Raises:
        Misconfigured: libvirt-python is not installed, or the URI is not allowed.
    """
    reader = create_reader(_create_target(uri), INTERVAL_S)
    try:
        return _read(reader, timeout_s)
    except PollFailed as failure:
        return {"address": reader.address, "status": failure.status, "error": str(failure)}
    finally:
        reader.close()


def target_of(uri: str, login: LoginOptions) -> LibvirtTarget:
    """Creates the target at a libvirt URI.

    Raises:
        Misconfigured: Login options were given, which are for BMCs, or the URI is not allowed.
    """
    if login != LoginOptions():
        raise Misconfigured(
            "options for a login or a certificate are for BMCs: a libvirt URI contains how to log in itself"
        )
    return _create_target(uri)


def _create_target(uri: str) -> LibvirtTarget:
    try:
        return LibvirtTarget(host="probe", uri=check_libvirt_uri(uri))
    except ValueError as error:
        raise Misconfigured(f"{without_credentials(uri)}: {error}") from None


def probe_target(target: LibvirtTarget, timeout_s: float) -> LibvirtProbe:
    """Probes a target for the command.

    Raises:
        Misconfigured: libvirt-python is not installed, or the login is rejected.
        Retry: There is no connection.
    """
    result = probe(target.uri, timeout_s)
    if result["error"] is not None:
        error_type = Misconfigured if result["status"] == "auth_failed" else Retry
        raise error_type(f"{result['error']}: does libvirt run there, and may this user connect to it?")
    return cast("LibvirtProbe", {"source": "libvirt", "whole": result["status"] == "up", **result})


def _read(reader: LibvirtReader, timeout_s: float) -> LibvirtProbe:
    durations_s = []
    for _ in range(2):
        calls, started_s = reader.facts().requests or 0, time.monotonic()
        sample = reader.read("domains", timeout_s)
        durations_s.append(time.monotonic() - started_s)
    facts, info = reader.facts(), reader.server_info
    try:
        groups = reader.survey(timeout_s)
    except PollFailed:
        groups = {}  # a domain began to hang
    domains = sorted(cast("list[Domain]", sample.body["domains"]), key=lambda domain: domain["name"])
    return {
        "address": reader.address,
        "status": "partial" if sample.problems.whole else "up",
        "error": None,
        "hypervisor": info.get("hypervisor"),
        "version": info.get("version"),
        "libvirt": info.get("libvirt"),
        "bulk": any(groups[name]["keys"] for name in RECORD_GROUPS[1:] if name in groups),
        "first_s": durations_s[0],
        "round_s": durations_s[1],
        "round_calls": (facts.requests or 0) - calls,
        "groups": groups,
        "vms": [_vm(domain) for domain in domains],
        "missing": sample.problems.as_records(),
        "hung": list(facts.left_out),
    }


def _vm(domain: Domain) -> VmProbe:
    state = domain["state"]
    return {
        "name": domain["name"],
        "uuid": domain["uuid"],
        "cpus": domain["cpus"],
        "memory_max_kb": domain["memory_max_kb"],
        "stale": domain["stale"],
        "cloud_name": domain["cloud_name"],
        "cloud_project": domain["cloud_project"],
        "cloud_flavor": domain["cloud_flavor"],
        "state": STATES[state] if state < len(STATES) else "unknown",
        "nics": [nic["device"] for nic in domain["nics"]],
        "disks": [disk["device"] for disk in domain["disks"]],
        "guest_memory": domain["memusable"] is not None,
    }


def show(result: LibvirtProbe, console: Console) -> None:
    """Prints a result as tables."""
    if result["error"] is not None:
        console.print(f"[red]{result['status']}[/red]  {result['error']}", highlight=False)
        return
    vms = "1 VM" if len(result["vms"]) == 1 else f"{len(result['vms'])} VMs"
    console.print(
        f"{result['hypervisor']} {result['version']}, libvirt {result['libvirt']} at {result['address']}: "
        f"{result['status']}\n"
        f"{vms}, {result['round_calls']} libvirt calls per poll "
        f"(first poll: {result['first_s'] * 1000:.0f} ms, then {result['round_s'] * 1000:.0f} ms)",
        highlight=False,
    )
    for name in result["hung"]:
        console.print(f"[red]{name} hangs[/red]: its hypervisor process does not answer libvirt", highlight=False)
    if not result["bulk"]:
        console.print("This driver has no bulk statistics: read device by device.", highlight=False)
    table = Table("group", "used", "keys", "ms", "error", title="Bulk statistics")
    for name, group in result["groups"].items():
        used = "yes" if name in RECORD_GROUPS and result["bulk"] else ""
        table.add_row(name, used, str(len(group["keys"])), f"{group['seconds'] * 1000:.1f}", group["error"] or "")
    console.print(table)
    console.print(_vm_table(result["vms"]))
    if result["missing"]:
        missing = Table("field", "cause", "count", title="Missing values")
        for problem in result["missing"]:
            missing.add_row(problem["field"], problem["cause"], str(problem["count"]))
        console.print(missing)


def _vm_table(vms: list[VmProbe]) -> Table:
    more = f" (the first {MAX_VMS} of {len(vms)})" if len(vms) > MAX_VMS else ""
    table = Table("VM", "state", "CPUs", "memory", "NICs", "disks", "guest memory", "cloud", title=f"VMs{more}")
    for vm in vms[:MAX_VMS]:
        memory = "" if vm["memory_max_kb"] is None else f"{vm['memory_max_kb'] / 1024:.0f} MiB"
        cloud = " / ".join(filter(None, (vm["cloud_project"], vm["cloud_name"], vm["cloud_flavor"])))
        state = f"{vm['state']}, hangs" if vm["stale"] else vm["state"]
        guest_memory = "reported" if vm["guest_memory"] else "not reported"
        table.add_row(
            vm["name"],
            state,
            str(vm["cpus"] or ""),
            memory,
            " ".join(vm["nics"]),
            " ".join(vm["disks"]),
            guest_memory,
            cloud,
        )
    return table
