"""`rackstream simulate`: sources that speak the real protocols and are not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rackstream.commands.common import JSON
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from rackstream.simulators.faults import Share
    from rackstream.simulators.processes import Served


@click.group()
def simulate() -> None:
    """Simulated sources that speak the real protocols."""


def _shares(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> list[Share]:
    from rackstream.simulators.faults import Share

    try:
        return [Share.parse(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _explain(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from rackstream.simulators.faults import KINDS, VALUES

    for kind, meaning in KINDS.items():
        usual = f"  [{VALUES[kind]:g}]" if kind in VALUES else ""
        click.echo(f"{kind:<10} {meaning}{usual}")
    context.exit()


@simulate.command("redfish")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="How many BMCs, one port each")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="Over how many processes")
@click.option("--port", default=0, show_default=True, help="First port on 127.0.0.1; 0: free ones")
@click.option(
    "--shape",
    default="dell",
    show_default=True,
    type=click.Choice(["dell", "hpe", "lenovo", "supermicro", "openbmc", "blade", "mix"]),
    help="What they are like; mix: each in turn",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    callback=_shares,
    metavar="KIND=SHARE[:VALUE][@PATH]",
    help="What is wrong with some of them, such as dead=10% or 404=3@/Thermal; may be repeated",
)
@click.option(
    "--faults",
    "list_faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="List the kinds of --fault",
)
@click.option(
    "--latency", default=0.0, show_default=True, help="Seconds that the slowest answers take; most others 5 %"
)
@click.option("--username", help="User of Basic authentication and of sessions  [default: no authentication]")
@click.option("--password-env", help="Variable that holds the password")
@click.option("--session-limit", default=8, show_default=True, type=click.IntRange(0), help="Sessions at once of a BMC")
@click.option("--session-ttl", default=1800.0, show_default=True, help="Seconds until an unused session ends")
@click.option("--tls", is_flag=True, help="HTTPS with a certificate made for this run")
@click.option("--cert", type=click.Path(path_type=Path, exists=True), help="Certificate chain; with --key: HTTPS")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="Key of the certificate")
@click.option("--heat-period", default=40.0, show_default=True, help="Seconds from one overheating to the next")
@JSON
def simulate_redfish(  # noqa: PLR0917  click passes options by name
    count: int,
    processes: int,
    port: int,
    shape: str,
    faults: list[Share],
    latency: float,
    username: str | None,
    password_env: str | None,
    session_limit: int,
    session_ttl: float,
    tls: bool,
    cert: Path | None,
    key: Path | None,
    heat_period: float,
    as_json: bool,
) -> None:
    """Simulate BMCs over HTTP(S), with values that move and a CPU that overheats and recovers.

    Prints each BMC's URL, shape and fault once they listen, and what was asked of them at the end.
    """
    from rackstream.simulators.processes import run
    from rackstream.simulators.redfish import Simulator

    if (tls and cert) or (cert is None) != (key is None):
        raise Misconfigured("give --cert with --key, or --tls alone")
    with ExitStack() as stack:
        authority = None
        if tls:
            cert, key, authority = _certificates(stack)
        simulator = Simulator(
            count,
            first_port=port,
            shape=shape,
            faults=faults,
            username=username,
            password=_password(password_env),
            cert=cert,
            key=key,
            heat_period_s=heat_period,
            latency_s=latency,
            session_limit=session_limit,
            session_ttl_s=session_ttl,
        )
        told = run(simulator, _Announcer(authority, as_json=as_json), processes=min(processes, count))
    _tell_counts(told, as_json=as_json)


def _password(variable: str | None) -> str | None:
    password = os.environ.get(variable) if variable else None
    if variable and password is None:
        raise Misconfigured(f"the variable {variable}, named by --password-env, is not set")
    return password


def _certificates(stack: ExitStack) -> tuple[Path, Path, Path]:
    from rackstream.demo import fleet

    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="rackstream-simulate-"))
    return fleet.certificates(Path(directory))


class _Announcer:
    """Prints the BMCs, and says to a supervisor that they are there."""

    def __init__(self, authority: Path | None, *, as_json: bool) -> None:
        self._authority = authority
        self._as_json = as_json

    def __call__(self, served: Sequence[Served]) -> None:
        from runtime import observability

        if self._as_json:
            ca = str(self._authority) if self._authority else None
            click.echo(json.dumps({"bmcs": [each.as_json() for each in served], "ca": ca}))
        else:
            for each in served:
                click.echo("  ".join(filter(None, (each.url, each.shape, each.fault))))
            if self._authority:
                click.echo(f"authority of their certificates: {self._authority}")
        observability.notify("READY=1")


def _tell_counts(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"counts": told}))
        return
    answers = ", ".join(f"{count} × {code}" for code, count in told["answers"].items() if code != "0")
    click.echo(f"{told['requests']} requests ({answers or 'none answered'})")
    click.echo(
        f"{told['logins']} logins, {told['logouts']} logouts, "
        f"{told['sessions_open'] + told['sessions_expired']} sessions left behind"
    )
