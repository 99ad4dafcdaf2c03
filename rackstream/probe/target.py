"""Resolves the target of `rackstream probe`, a URI or a fleet host, and probes it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

from rich.console import Console

from producers.fleet.targets import FleetTarget
from rackstream.text.sanitize import echo, json_text, printable, terminal_console
from runtime.errors import Misconfigured

ProbeResult = Mapping[str, Any]
"""What a target offers, in JSON's types, with `source`, `address` and `whole`: true if all of it could be read."""
SCHEMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("https", "http"), "redfish"),
    **dict.fromkeys(("qemu", "test", "xen", "lxc", "ch", "bhyve", "vz", "vbox", "esx", "vpx", "hyperv"), "libvirt"),
}
"""Scheme of a URI, without what follows a `+` → source."""
PROBERS: Final[Mapping[str, str]] = {"redfish": "rackstream.probe.redfish", "libvirt": "rackstream.probe.libvirt"}
"""Source → the module that probes it, a `Prober`."""
FILE_WIDTH: Final = 160
"""Columns of the output to a file or a pipe."""


@dataclass(frozen=True)
class LoginOptions:
    """Options of the command line for logging in."""

    username: str | None = None
    password: str | None = None
    """env:NAME or file:PATH, never the password itself."""
    verify: bool | Path = True


class Prober(Protocol):
    """A module that probes the targets of one source."""

    def target_of(self, uri: str, login: LoginOptions) -> FleetTarget:
        """Creates the target at a URI, as the fleet file would have it.

        Raises:
            Misconfigured: The URI and the login options do not make a target.
        """
        ...

    def probe_target(self, target: FleetTarget, timeout_s: float) -> ProbeResult:
        """Reads a target.

        Raises:
            Failure: It cannot be read.
        """
        ...

    def show(self, result: ProbeResult, console: Console) -> None:
        """Prints a result as tables."""
        ...


def prober(source: str) -> Prober:
    """Imports the module that probes a source's targets."""
    return cast("Prober", importlib.import_module(PROBERS[source]))


def targets(name: str, login: LoginOptions, fleet: Path) -> Sequence[tuple[str, FleetTarget]]:
    """Resolves a URI, or a host of the fleet file, which may have a target per source.

    Returns:
        Source and target, at least one.

    Raises:
        Misconfigured: There is no such target, or it cannot be probed.
    """
    scheme, separator, rest = name.partition("://")
    if not separator:
        return _fleet_targets(name, login, fleet)
    if "@" in rest.partition("/")[0] and SCHEMES.get(scheme) == "redfish":
        raise Misconfigured("no user or password in the URL: give --username, and --password-env or --password-file")
    source = SCHEMES.get(scheme.partition("+")[0])
    if source is None:
        raise Misconfigured(f"unsupported scheme {scheme}://: give https://HOST or qemu:///system, for example")
    return [(source, prober(source).target_of(name, login))]


def _fleet_targets(host: str, login: LoginOptions, path: Path) -> Sequence[tuple[str, FleetTarget]]:
    from producers.fleet import config as fleet_file

    not_a_uri = f"{host} is not a URI such as https://10.0.0.11"
    if not path.exists():
        raise Misconfigured(f"{not_a_uri}, and there is no {path} to look it up in: set it with --fleet")
    if login != LoginOptions():
        raise Misconfigured(f"login options are for URIs only: for a host of {path}, the login is in that file")
    fleet = fleet_file.load(path)
    candidates = [(source, target) for source in PROBERS for target in fleet.targets(source)]
    matches = [(source, target) for source, target in candidates if host in target.hosts]
    if not matches:
        names = sorted({name for _, target in candidates for name in target.hosts})
        more = ", …" if len(names) > 10 else ""
        raise Misconfigured(f"{not_a_uri}, and {path} has no such host: {', '.join(names[:10]) or 'none'}{more}")
    return matches


def run(selected: Sequence[tuple[str, FleetTarget]], timeout_s: float, *, as_json: bool) -> bool:
    """Probes targets one after another and prints the results.

    Returns True if all of them could be read whole.
    """
    console = terminal_console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = FILE_WIDTH
    results: list[ProbeResult] = []
    for source, target in selected:
        module = prober(source)
        result = module.probe_target(target, timeout_s)
        results.append(result)
        if not as_json:
            module.show(cast("ProbeResult", printable(result)), console)
    if as_json:
        document = results[0] if len(results) == 1 else {result["source"]: result for result in results}
        echo(json_text(document, indent=2, default=str))
    return all(result["whole"] for result in results)
