"""What the commands share: options, the settings behind them, and how they find Kafka."""

from __future__ import annotations

import contextlib
import getpass
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings, ProcessSettings

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where files and the embedded Kafka live  [default: RACKSTREAM_DATA_DIR or .rackstream]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text")
FLEET = click.option(
    "--fleet",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("fleet.yaml"),
    show_default=True,
    help="What to poll",
)


def stop_event() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; the second ends the process at once."""
    event = threading.Event()

    def ask(number: int, _frame: Any) -> None:
        event.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return event


def user() -> str:
    """The user's name.

    Raises:
        Misconfigured: it has none.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        raise Misconfigured("this user has no name: say --who") from None


def kafka_settings(data_dir: Path | None) -> KafkaSettings:
    """The settings, for the directory given on the command line if there is one."""
    return KafkaSettings.read(**({"data_dir": data_dir} if data_dir else {}))


def bootstrapped(settings: KafkaSettings) -> KafkaSettings:
    """The settings with the address of the embedded Kafka that runs, where none is configured.

    Raises:
        Misconfigured: no Kafka runs, or the one configured refuses the login.
        Retry: the one configured, where one has to log in, does not answer.
    """
    if settings.bootstrap:
        if settings.security_protocol != "PLAINTEXT":
            from runtime import kafka

            kafka.cluster(settings)  # a login that is refused is told here, in one line, whatever the command does next
        return settings
    from rackstream.local.broker import running

    found = running(settings.data_dir) or running(settings.data_dir / "demo")
    if found is None:
        raise Misconfigured(
            f"no Kafka runs for {settings.data_dir}: start `rackstream up` or `rackstream demo`, name its directory "
            "with --data-dir, or set KAFKA_BOOTSTRAP_SERVERS"
        )
    return settings.model_copy(update={"bootstrap": found})


@contextlib.contextmanager
def connected(data_dir: Path | None) -> Iterator[tuple[KafkaSettings, bool]]:
    """Settings with an address, and whether the Kafka there goes on living.

    Where an earlier run's data lies but no Kafka runs, one is started just for this command.
    """
    settings = kafka_settings(data_dir)
    places = (settings.data_dir, settings.data_dir / "demo")
    try:
        found = bootstrapped(settings)
    except Misconfigured:
        from rackstream.local.broker import attached

        kept = [place for place in places if (place / "kafka" / "kafka.json").exists()]
        if not kept:
            raise
    else:
        # Not within the try: what a command finds misconfigured later is its own matter.
        yield found.model_copy(update={"data_dir": _beside(settings, places)}), True
        return
    with attached(kept[0]) as bootstrap:
        yield settings.model_copy(update={"bootstrap": bootstrap, "data_dir": kept[0]}), False


def _beside(settings: KafkaSettings, places: tuple[Path, ...]) -> Path:
    """The data directory of the Kafka that was found: the demo's while only a demo runs."""
    if settings.bootstrap:
        return settings.data_dir
    from rackstream.local.broker import running

    return next((place for place in places if running(place)), settings.data_dir)


def set_up(component: str) -> None:
    """Logs and metrics of a process of the pipeline."""
    from runtime import observability

    observability.set_up(ProcessSettings.read(), component, KafkaSettings.read().data_dir)
