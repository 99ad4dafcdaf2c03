"""Joins one source's readers with the loop and Kafka: what `rackstream producer` runs."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from confluent_kafka import KafkaException

from producers.control.subscriber import Obeying
from producers.fleet import config
from producers.fleet.config import AnyTarget
from producers.fleet.reload import Reloading, by_host
from producers.polling.loop import Loop
from producers.publishing.publisher import Publication
from producers.reader import Reader
from producers.shared_targets.assignment import Taking
from producers.shared_targets.group_member import Sharing
from producers.shared_targets.poll_gate import Gate
from runtime import compacted_topic
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas, verify

log = structlog.get_logger()
TOPICS: Final = {"host": "raw-host", "libvirt": "raw-libvirt", "redfish": "raw-redfish"}
STATE: Final = ("TargetStatus", "Heartbeat")
LEAVE_S: Final = 10.0
"""Leaving the group may take this long."""
Statuses = Mapping[str, Mapping[str, Any]]
"""Host → its newest TargetStatus."""


def readers(source: str, wanted: Iterable[AnyTarget], known: Statuses | None = None) -> list[Reader]:
    """A reader for each target. `known`: what the topic says of them; a session left there is theirs to delete.

    Raises:
        Misconfigured: the source's package is not installed, or secrets are missing; names all of them.
    """
    found: list[Reader] = []
    problems: dict[str, None] = {}
    for target in wanted:
        try:
            found.append(_reader(target, (known or {}).get(target.host, {})))
        except Misconfigured as error:
            problems[str(error)] = None
    if problems:
        raise Misconfigured("\n  ".join([f"{source} targets:", *problems] if len(problems) > 1 else problems))
    return found


def _reader(target: AnyTarget, last: Mapping[str, Any]) -> Reader:
    interval_s = target.interval or 1.0
    if isinstance(target, config.RedfishTarget):
        from producers import redfish

        return redfish.create_reader(target, interval_s, stale_session=last.get("session_uri"))
    if isinstance(target, config.LibvirtTarget):
        from producers import libvirt

        return libvirt.create_reader(target, interval_s)
    from producers.host import reader

    return reader.create_reader(target, interval_s)


def statuses(settings: KafkaSettings, source: str) -> Statuses:
    """What is on Kafka of the targets of a source, by whichever producer.

    Raises:
        Retry: the broker did not answer.
    """
    try:
        newest = compacted_topic.newest(settings, "state-targets").values()
    except KafkaException as error:
        raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
    return {record["host"]: record for record in newest if record["source"] == source}


def _readers_now(settings: KafkaSettings, source: str, wanted: Iterable[AnyTarget]) -> list[Reader]:
    """Readers of targets that begin while we run: without Kafka, sessions left behind there stay until they expire."""
    try:
        known = statuses(settings, source)
    except Retry as error:
        log.warning("statuses not read, sessions that others left may stay open", why=str(error))
        known = {}
    return readers(source, wanted, known)


def share(source: str, settings: KafkaSettings, stop: threading.Event, *, name: str | None = None) -> None:
    """Polls its share of the targets on `fleet.targets` until `stop` is set, with all others that do so.

    Raises:
        Misconfigured: topics are missing, or a right is.
    """
    gate, ended = Gate(), threading.Event()
    obeying = _prepared(source, settings)
    publication = _opened(source, settings, name)
    loop = Loop(
        publication,
        (),
        TOPICS[source],
        source=source,
        orders=obeying.orders,
        may_poll=lambda: gate.is_open(time.monotonic()),
    )
    taking = Taking(settings, source, publication, make=_reader, change=loop.change, release=loop.release)
    sharing = Sharing(settings, source, gate, taking)
    threading.Thread(target=obeying.run, args=(stop, loop.obey), daemon=True, name="control").start()
    threading.Thread(target=taking.run, args=(stop,), daemon=True, name="taking").start()
    member = threading.Thread(target=sharing.run, args=(stop, loop.stop, ended), daemon=True, name="sharing")
    member.start()
    try:
        loop.run()
    finally:
        ended.set()
        stop.set()
    member.join(LEAVE_S)
    if sharing.failure is not None:
        raise sharing.failure


def _prepared(source: str, settings: KafkaSettings) -> Obeying:
    """Kafka has what it must have."""
    verify(settings)
    publish_schemas(settings, (settings.catalog[TOPICS[source]].schema, *STATE))
    return Obeying(settings)


def _opened(source: str, settings: KafkaSettings, name: str | None) -> Publication:
    return Publication.open(settings, name or f"{source}-{socket.gethostname()}")


def run(source: str, fleet: Path, settings: KafkaSettings, stop: threading.Event, *, name: str | None = None) -> None:
    """Polls until `stop` is set. A fleet file that changes is used as it then is; SIGHUP has it looked at at once.

    Targets that the control topic says are stopped are not polled.

    Raises:
        Misconfigured: there is nothing to poll, or topics are missing.
    """
    text = config.read(fleet)
    wanted = by_host(config.parse(text, fleet), source).values()
    if not wanted:
        raise Misconfigured(f"{fleet} names no {source} targets")
    obeying = _prepared(source, settings)
    known = statuses(settings, source)
    found = readers(source, wanted, known)
    publication = _opened(source, settings, name)
    loop = Loop(publication, found, TOPICS[source], source=source, known=known, orders=obeying.orders)
    reloading = Reloading(
        fleet,
        text,
        source,
        make=lambda new: _readers_now(settings, source, new),
        change=loop.change,
    )
    if threading.current_thread() is threading.main_thread():  # who runs it in another has the signals of its own
        signal.signal(signal.SIGHUP, lambda *_: reloading.ask())

    def forward() -> None:
        stop.wait()
        loop.stop()

    threading.Thread(target=forward, daemon=True, name="stop").start()
    threading.Thread(target=reloading.run, args=(stop,), daemon=True, name="fleet").start()
    threading.Thread(target=obeying.run, args=(stop, loop.obey), daemon=True, name="control").start()
    loop.run()
