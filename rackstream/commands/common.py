"""Options shared by commands, and how commands find Kafka."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from rackstream.local import processes
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings, ProcessSettings

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of files and embedded Kafka  [default: RACKSTREAM_DATA_DIR or .rackstream]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text")
FLEET = click.option(
    "--fleet",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("fleet.yaml"),
    show_default=True,
    help="Fleet file with the targets to poll",
)


def stop_event() -> threading.Event:
    """Returns an event set by the first SIGINT or SIGTERM; the second kills this process and all that it started."""
    event = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        if event.is_set():
            processes.kill_descendants()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        event.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return event


def user_name() -> str:
    """Returns the user's name.

    Raises:
        Misconfigured: The user id has no name.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # as in containers
        raise Misconfigured("this user has no name: give --who") from None


def kafka_settings(data_dir: Path | None) -> KafkaSettings:
    """Reads the settings, with the data directory of the command line if it is given."""
    return KafkaSettings.read(**({"data_dir": data_dir} if data_dir else {}))


def bootstrapped(settings: KafkaSettings, *, check_login: bool = True) -> KafkaSettings:
    """Returns the settings with the address of the running embedded Kafka if none is configured.

    Args:
        settings: The settings.
        check_login: False if the caller checks the login itself, as `acls.require` does.

    Raises:
        Misconfigured: No Kafka runs, or the configured one refuses the login.
        Retry: The configured Kafka, which asks for a login, does not answer.
    """
    if settings.bootstrap:
        if check_login and settings.security_protocol != "PLAINTEXT":
            from runtime import kafka

            kafka.cluster_metadata(settings)  # reports a refused login at once, in one line
        return settings
    from rackstream.local.broker import running

    address = running(settings.data_dir) or running(settings.data_dir / "demo")
    if address is None:
        raise Misconfigured(
            f"no Kafka runs for {settings.data_dir}: start `rackstream up` or `rackstream demo`, name its directory "
            "with --data-dir, or set KAFKA_BOOTSTRAP_SERVERS"
        )
    return settings.model_copy(update={"bootstrap": address})


@contextlib.contextmanager
def connected(data_dir: Path | None) -> Iterator[tuple[KafkaSettings, bool]]:
    """Yields settings with an address, and True if that Kafka keeps running afterwards.

    If there is data of an earlier run but no Kafka running, one is started for this command.
    """
    settings = kafka_settings(data_dir)
    directories = (settings.data_dir, settings.data_dir / "demo")
    try:
        running = bootstrapped(settings)
    except Misconfigured:
        from rackstream.local.broker import attach

        with_data = [directory for directory in directories if (directory / "kafka" / "kafka.json").exists()]
        if not with_data:
            raise
    else:
        # Not within the try: a Misconfigured of the command itself must not start a Kafka.
        yield running.model_copy(update={"data_dir": _data_dir_of_running(settings, directories)}), True
        return
    with attach(with_data[0]) as bootstrap:
        yield settings.model_copy(update={"bootstrap": bootstrap, "data_dir": with_data[0]}), False


def _data_dir_of_running(settings: KafkaSettings, directories: tuple[Path, ...]) -> Path:
    """Returns the data directory of the running Kafka: the demo's if only a demo runs."""
    if settings.bootstrap:
        return settings.data_dir
    from rackstream.local.broker import running

    return next((directory for directory in directories if running(directory)), settings.data_dir)


def set_up(component: str) -> None:
    """Sets up logs and metrics of a process of the pipeline."""
    from runtime import observability

    observability.set_up(ProcessSettings.read(), component, KafkaSettings.read().data_dir)
