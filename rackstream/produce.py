"""Joins one source's readers with the loop and Kafka: what `rackstream producer` runs."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Final

from producers import targets
from producers.journal import Journal
from producers.loop import Loop
from producers.publish import Publication
from producers.reader import Reader
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas, verify

TOPICS: Final = {"host": "raw-host", "libvirt": "raw-libvirt", "redfish": "raw-redfish"}
STATE: Final = ("TargetStatus", "Heartbeat")


def readers(source: str, fleet: targets.Fleet) -> list[Reader]:
    """A reader for each target of a source.

    Raises:
        Misconfigured: the source's package is not installed, or a secret is missing.
    """
    found: list[Reader] = []
    if source == "host":
        from producers import host

        found += [host.reader(each, each.interval or fleet.host.interval) for each in fleet.host.targets]
    elif source == "libvirt":
        from producers import libvirt

        found += [libvirt.reader(each, each.interval or fleet.libvirt.interval) for each in fleet.libvirt.targets]
    else:
        from producers import redfish

        found += [redfish.reader(each, each.interval or fleet.redfish.interval) for each in fleet.redfish.targets]
    return found


def run(source: str, fleet: Path, settings: KafkaSettings, stop: threading.Event, *, name: str | None = None) -> None:
    """Polls until `stop` is set.

    Raises:
        Misconfigured: there is nothing to poll, or topics are missing.
    """
    found = readers(source, targets.load(fleet))
    if not found:
        raise Misconfigured(f"{fleet} names no {source} targets")
    verify(settings)
    alias = TOPICS[source]
    publish_schemas(settings, (settings.catalog[alias].schema, *STATE))
    producer = name or f"{source}-{socket.gethostname()}"
    journal = Journal(settings.data_dir / "producers" / f"{producer}.db")
    loop = Loop(Publication(settings, journal, producer), found, alias, source=source)

    def forward() -> None:
        stop.wait()
        loop.stop()

    threading.Thread(target=forward, daemon=True, name="stop").start()
    loop.run()
