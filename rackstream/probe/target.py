"""What does this target give? Who finds out: by the scheme of a URI, or the section of the fleet file that names it."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

import click
from rich.console import Console

from rackstream.text.sanitize import printable
from runtime.errors import Misconfigured

SCHEMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("https", "http"), "redfish"),
    **dict.fromkeys(("qemu", "test", "xen", "lxc", "ch", "bhyve", "vz", "vbox", "esx", "vpx", "hyperv"), "libvirt"),
}
"""Scheme of a URI, without what follows a `+` → source."""
PROBERS: Final[Mapping[str, str]] = {"redfish": "rackstream.probe.redfish", "libvirt": "rackstream.probe.libvirt"}
"""Source → the module that probes it, a `Prober`."""
FILE_WIDTH: Final = 160
"""Columns where there is no terminal to fit: of a file or a pipe."""


@dataclass(frozen=True)
class Access:
    """How to get in, as far as the command line says."""

    username: str | None = None
    password: str | None = None
    """env:NAME or file:PATH, never the password."""
    verify: bool | Path = True


class Prober(Protocol):
    """A module that probes one source's targets."""

    def target_of(self, uri: str, access: Access) -> Any:
        """The target at a URI, as the fleet file would have it; raises Misconfigured where that cannot be."""
        ...

    def probe_target(self, target: Any, timeout_s: float) -> dict[str, Any]:
        """What it gives, as JSON's types, with `source`, `address` and whether it is `whole`.

        Raises Failure where it gives nothing.
        """
        ...

    def show(self, found: dict[str, Any], console: Console) -> None:
        """Prints that for people."""
        ...


def prober(source: str) -> Prober:
    """The module that probes a source's targets."""
    return cast("Prober", importlib.import_module(PROBERS[source]))


def targets(name: str, access: Access, fleet: Path) -> Sequence[tuple[str, Any]]:
    """Source and target of a URI; or of a host that the fleet file names, one per section that does.

    Raises:
        Misconfigured: there is none, or it cannot be probed.
    """
    scheme, mark, rest = name.partition("://")
    if mark:
        if "@" in rest.partition("/")[0] and SCHEMES.get(scheme) == "redfish":
            raise Misconfigured(
                "no user or password in the URL: give --username, and --password-env or --password-file"
            )
        source = SCHEMES.get(scheme.partition("+")[0])
        if source is None:
            raise Misconfigured(f"nothing here reads {scheme}://…: give https://HOST or qemu:///system, say")
        return [(source, prober(source).target_of(name, access))]
    return _named(name, access, fleet)


def _named(host: str, access: Access, path: Path) -> Sequence[tuple[str, Any]]:
    from producers.fleet import config as fleet_file

    where = f"{host} is no URI, such as https://10.0.0.11"
    if not path.exists():
        raise Misconfigured(f"{where}, and there is no {path} to look it up in: name it by --fleet")
    if access != Access():
        raise Misconfigured(f"{where}: of a host of {path} that file says how to get in")
    fleet = fleet_file.load(path)
    known = {source: getattr(fleet, source).targets for source in PROBERS}
    found = [(source, each) for source, all_of in known.items() for each in all_of if host in hosts_of(each)]
    if not found:
        names = sorted({name for all_of in known.values() for each in all_of for name in hosts_of(each)})
        more = ", …" if len(names) > 10 else ""
        raise Misconfigured(f"{where}, and {path} names no such host: {', '.join(names[:10]) or 'none'}{more}")
    return found


def hosts_of(target: Any) -> set[str]:
    """The hosts that a target of the fleet file is about."""
    return {target.host, *getattr(target, "systems", {}).values()}


def run(chosen: Sequence[tuple[str, Any]], timeout_s: float, *, as_json: bool) -> bool:
    """Probes them one after another and prints what they give; whether all of it could be read."""
    whole = True
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = FILE_WIDTH
    found: list[dict[str, Any]] = []
    for source, target in chosen:
        module = prober(source)
        found.append(module.probe_target(target, timeout_s))
        whole = whole and found[-1]["whole"]
        if not as_json:
            module.show(printable(found[-1]), console)
    if as_json:
        told = found[0] if len(found) == 1 else {each["source"]: each for each in found}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))
    return whole
