"""Commands that simulate BMCs over their real protocol."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackstream.commands.common import JSON
from rackstream.text.sanitize import echo, json_text
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from rackstream.simulators.bmc import BmcStatistics
    from rackstream.simulators.faults import FaultShare
    from rackstream.simulators.processes import ServedBmc


@click.group()
def simulate() -> None:
    """Simulate BMCs or hypervisors."""


def _shares(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> list[FaultShare]:
    from rackstream.simulators.faults import FaultShare

    try:
        return [FaultShare.parse(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _list_faults(context: click.Context, _parameter: click.Parameter, requested: bool) -> None:
    if not requested or context.resilient_parsing:
        return
    from rackstream.simulators.faults import DEFAULT_VALUES, FAULT_KINDS

    for kind, meaning in FAULT_KINDS.items():
        default = f"  [{DEFAULT_VALUES[kind]:g}]" if kind in DEFAULT_VALUES else ""
        echo(f"{kind:<10} {meaning}{default}")
    context.exit()


@simulate.command("redfish")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="Number of BMCs, one port each")
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1), help="Number of processes to divide them among"
)
@click.option("--port", default=0, show_default=True, help="First port on 127.0.0.1; 0: free ports")
@click.option(
    "--shape",
    default="dell",
    show_default=True,
    type=click.Choice(["dell", "hpe", "lenovo", "supermicro", "openbmc", "blade", "mix"]),
    help="Model of the BMCs; mix: each in turn",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    callback=_shares,
    metavar="KIND=SHARE[:VALUE][@PATH]",
    help="Fault of some BMCs, such as dead=10% or 404=3@/Thermal; may be repeated",
)
@click.option(
    "--faults",
    "list_faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="List the kinds of faults and exit",
)
@click.option(
    "--latency",
    default=0.0,
    show_default=True,
    help="Response time of the slowest requests in seconds; of most others 5 % of it",
)
@click.option("--username", help="User for Basic authentication and sessions  [default: no authentication]")
@click.option("--password-env", help="Environment variable with the password")
@click.option(
    "--session-limit", default=8, show_default=True, type=click.IntRange(0), help="Concurrent sessions per BMC"
)
@click.option("--session-ttl", default=1800.0, show_default=True, help="Seconds until an idle session expires")
@click.option("--tls", is_flag=True, help="HTTPS with a certificate created for this run")
@click.option("--cert", type=click.Path(path_type=Path, exists=True), help="Certificate chain; with --key: HTTPS")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="Key of the certificate")
@click.option("--heat-period", default=40.0, show_default=True, help="Seconds between two overheating events")
@JSON
def simulate_redfish(  # noqa: PLR0917  click passes options by name
    count: int,
    processes: int,
    port: int,
    shape: str,
    faults: list[FaultShare],
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
    """Simulate BMCs over HTTP(S).

    Readings change, and a CPU overheats and recovers. Prints each BMC's URL, model and fault once they listen, and
    request counts on exit.
    """
    from rackstream.simulators.processes import serve
    from rackstream.simulators.redfish import RedfishSimulator

    if (tls and cert) or (cert is None) != (key is None):
        raise Misconfigured("give --cert with --key, or --tls alone")
    with ExitStack() as stack:
        authority = None
        if tls:
            cert, key, authority = _certificates(stack)
        simulator = RedfishSimulator(
            count,
            first_port=port,
            model=shape,
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
        counts = serve(simulator, _Announcer(authority, as_json=as_json), processes=min(processes, count))
    _print_counts(counts, as_json=as_json)


def _password(variable: str | None) -> str | None:
    password = os.environ.get(variable) if variable else None
    if variable and password is None:
        raise Misconfigured(f"the variable {variable} of --password-env is not set")
    return password


def _certificates(stack: ExitStack) -> tuple[Path, Path, Path]:
    from rackstream.demo import fleet

    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="rackstream-simulate-"))
    return fleet.create_certificates(Path(directory))


class _Announcer:
    """Prints the BMCs, and notifies the supervisor that they are ready."""

    def __init__(self, authority: Path | None, *, as_json: bool) -> None:
        self._authority = authority
        self._as_json = as_json

    def __call__(self, served: Sequence[ServedBmc]) -> None:
        from runtime import observability

        if self._as_json:
            ca = str(self._authority) if self._authority else None
            echo(json_text({"bmcs": [bmc.as_json() for bmc in served], "ca": ca}))
        else:
            for bmc in served:
                echo("  ".join(filter(None, (bmc.url, bmc.shape, bmc.fault))))
            if self._authority:
                echo(f"CA of their certificates: {self._authority}")
        observability.notify("READY=1")


def _print_counts(counts: BmcStatistics, *, as_json: bool) -> None:
    if as_json:
        echo(json_text({"counts": counts}))
        return
    answers = ", ".join(f"{count} × {code}" for code, count in counts["answers"].items() if code != "0")
    echo(f"{counts['requests']} requests ({answers or 'none answered'})")
    echo(
        f"{counts['logins']} logins, {counts['logouts']} logouts, "
        f"{counts['sessions_open'] + counts['sessions_expired']} sessions left behind"
    )
