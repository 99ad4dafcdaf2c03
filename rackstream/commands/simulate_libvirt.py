"""The command that publishes raw libvirt records of thousands of simulated hypervisors."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rackstream.commands.common import DATA_DIR, JSON, bootstrapped, kafka_settings, stop_event
from rackstream.text.sanitize import echo, json_text

if TYPE_CHECKING:
    from producers.publishing.publisher import RecordPublisher

PROGRESS_S: Final = 10.0


@click.command("libvirt")
@click.option("--hosts", default=1000, show_default=True, type=click.IntRange(1), help="Number of hypervisors")
@click.option("--vms", default=20, show_default=True, type=click.IntRange(1), help="VMs per hypervisor")
@click.option("--nics", default=1, show_default=True, type=click.IntRange(0), help="NICs per VM")
@click.option("--disks", default=1, show_default=True, type=click.IntRange(0, 26), help="Disks per VM")
@click.option(
    "--interval", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Seconds per round"
)
@click.option(
    "--churn",
    default=0.001,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of VMs per round that restart, migrate or have NIC counters reset",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random events")
@click.option("--rounds", type=click.IntRange(1), help="Number of rounds  [default: until Ctrl-C]")
@click.option("--name", help="Name of this producer  [default: simulate-libvirt-<host name>]")
@JSON
@DATA_DIR
def simulate_libvirt(  # noqa: PLR0917  click passes options by name
    hosts: int,
    vms: int,
    nics: int,
    disks: int,
    interval: float,
    churn: float,
    seed: int,
    rounds: int | None,
    name: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Publish records of simulated hypervisors.

    Prints at the end how many events the processors must have detected.
    """
    from producers.publishing.publisher import RecordPublisher
    from rackstream.simulators import libvirt_load
    from rackstream.simulators.libvirt import LibvirtLoadSettings, LibvirtSimulation
    from runtime import observability
    from runtime.topics import publish_schemas, verify

    stop = stop_event()
    settings = bootstrapped(kafka_settings(data_dir))
    verify(settings)
    publish_schemas(settings, (settings.catalog["raw-libvirt"].schema,))
    producer = name or f"simulate-libvirt-{socket.gethostname()}"
    publisher = RecordPublisher.open(settings, producer)
    plan = LibvirtLoadSettings(
        hosts=hosts, vms=vms, nics=nics, disks=disks, interval_s=interval, churn=churn, seed=seed
    )
    observability.notify("READY=1")
    summary = libvirt_load.publish_load(publisher, LibvirtSimulation(plan), stop, rounds=rounds, progress=_progress())
    if as_json:
        echo(json_text(summary.as_dict()))
    else:
        for key, value in summary.as_dict().items():
            echo(f"{key:11} {value}")
    raise click.exceptions.Exit(1 if summary.dropped or summary.records < summary.rounds * summary.hosts else 0)


def _progress() -> Callable[[int, RecordPublisher], None]:
    """Returns a function that prints the progress on stderr every few seconds."""
    printed_s = time.monotonic()

    def print_progress(round_: int, publisher: RecordPublisher) -> None:
        nonlocal printed_s
        if time.monotonic() - printed_s >= PROGRESS_S:
            printed_s = time.monotonic()
            echo(f"round {round_}: {publisher.records} records, {publisher.queued} waiting", err=True)

    return print_progress
