"""The command that shows the fleet live in the terminal."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import structlog

from rackstream.commands.common import DATA_DIR, JSON, bootstrapped, kafka_settings, user_name
from rackstream.text.sanitize import echo, json_text, terminal_console
from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from rackstream.view.model import View

Value = TypeVar("Value")
READ_TIMEOUT_S = 60.0
"""Time to read what Kafka holds before one picture is printed."""
FALLBACK_SIZE = (120, 40)
"""Columns and lines if there is no terminal."""
HEADER_LINES = 10
"""Lines of the overview other than host rows."""


@click.command()
@click.argument("host", required=False)
@click.option("--once", is_flag=True, help="Print the screen once and exit")
@DATA_DIR
@JSON
def top(host: str | None, once: bool, data_dir: Path | None, as_json: bool) -> None:
    """Show hosts, VMs, alerts and the pipeline live.

    With HOST, show that host. Keys are listed at the bottom of the screen. --json prints one object, the overview or
    all of HOST, and exits.
    """
    from rackstream.view.kafka_feed import KafkaFeed

    settings = kafka_settings(data_dir)
    bootstrapped(settings)  # fails before the screen is switched if no Kafka runs
    with KafkaFeed(settings, lambda: bootstrapped(settings)) as feed:
        if not once and not as_json:
            from rackstream.terminal.app import TopApp

            # Log lines would spoil the screen, which shows errors itself.
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
            TopApp(feed.view, lambda: bootstrapped(settings), user_name, host).run()
            return
        _wait(feed.view)
        if as_json:
            _print_json(feed.view, host)
        else:
            _print(feed.view, host)


def _wait(view: View) -> None:
    """Waits until the view has read the topics to their ends."""
    deadline = time.monotonic() + READ_TIMEOUT_S
    while not view.ready or view.kafka:
        if time.monotonic() > deadline:
            raise Retry(f"Kafka was not read within {READ_TIMEOUT_S:.0f} s: {view.kafka or 'too much data, try again'}")
        time.sleep(0.1)


def _print_json(view: View, host: str | None) -> None:
    from rackstream.text.json import jsonable

    answer = asdict(view.overview() if host is None else _require_host(view.host(host), host))
    echo(json_text(jsonable(answer), indent=2))


def _print(view: View, host: str | None) -> None:

    from rackstream.terminal import header

    width, height = shutil.get_terminal_size(FALLBACK_SIZE)
    if host is None:
        lines = header.fleet(view, width, max(3, height - HEADER_LINES))
    else:
        lines = _require_host(header.host(view, host, width), host)
    console = terminal_console(width=width)
    for line in lines:
        line.text.rstrip()
        console.print(line.text, soft_wrap=True)


def _require_host(answer: Value | None, host: str) -> Value:
    if answer is None:
        raise Misconfigured(f"unknown host {host}: see `rackstream targets status`, `rackstream doctor {host}`")
    return answer
