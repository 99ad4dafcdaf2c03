"""The command that shows the fleet live in the terminal."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import structlog

from rackstream.commands.common import DATA_DIR, JSON, bootstrapped, kafka_settings, user
from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from rackstream.view.model import View

Value = TypeVar("Value")
READ_S = 60.0
"""So long may it take to read what Kafka holds, where only one picture is wanted."""
SIZE = (120, 40)
"""Columns and lines of a picture where there is no terminal."""
AROUND = 10
"""Lines of the fleet's picture that are no hosts."""


@click.command()
@click.argument("host", required=False)
@click.option("--once", is_flag=True, help="Print one picture, as wide as the terminal, and end")
@DATA_DIR
@JSON
def top(host: str | None, once: bool, data_dir: Path | None, as_json: bool) -> None:
    """Show the fleet live: hosts, VMs, alerts, the pipeline; with HOST, that one. Keys are named at the bottom.

    --json: one object, the fleet at a glance (with HOST, all of that host), and end.
    """
    from rackstream.view.kafka_feed import Feed

    settings = kafka_settings(data_dir)
    bootstrapped(settings)  # where no Kafka runs, that is told before the screen is taken
    with Feed(settings, lambda: bootstrapped(settings)) as feed:
        if not once and not as_json:
            from rackstream.terminal.app import Top

            # What is written to a terminal that shows something else would spoil it; it is in the notice, too.
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
            Top(feed.view, lambda: bootstrapped(settings), user, host).run()
            return
        _wait(feed.view)
        if as_json:
            _print_json(feed.view, host)
        else:
            _print(feed.view, host)


def _wait(view: View) -> None:
    """Until the view has read what there is, and Kafka has said how much is on its topics."""
    deadline = time.monotonic() + READ_S
    while not view.ready or view.kafka:
        if time.monotonic() > deadline:
            raise Retry(f"Kafka was not read within {READ_S:.0f} s: {view.kafka or 'it has much, try again'}")
        time.sleep(0.1)


def _print_json(view: View, host: str | None) -> None:
    from rackstream.topics.tail import plain

    found = asdict(view.overview() if host is None else _known(view.host(host), host))
    click.echo(json.dumps(plain(found), ensure_ascii=False, indent=2))


def _print(view: View, host: str | None) -> None:
    from rich.console import Console

    from rackstream.terminal import header

    width, height = shutil.get_terminal_size(SIZE)
    if host is None:
        lines = header.fleet(view, width, max(3, height - AROUND))
    else:
        lines = _known(header.host(view, host, width), host)
    console = Console(width=width)
    for line in lines:
        line.text.rstrip()
        console.print(line.text, soft_wrap=True)


def _known(found: Value | None, host: str) -> Value:
    if found is None:
        raise Misconfigured(f"nothing is known of {host}: see `rackstream targets status`, `rackstream doctor {host}`")
    return found
