"""Main of `rackstream producer`: connects readers of one source with poll loop and Kafka."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, cast

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import ClusterMetadata

from producers.control.subscriber import CommandSubscriber
from producers.fleet import config
from producers.fleet.reload import FleetReloader, targets_by_host
from producers.fleet.targets import FleetTarget
from producers.polling.loop import PollLoop
from producers.publishing.publisher import RecordPublisher
from producers.reader import Reader
from producers.registry import SOURCE_SPECS
from producers.shared_targets.assignment import TargetAssignment
from producers.shared_targets.group_member import GroupMember
from producers.shared_targets.policy import SharedTargetPolicy
from producers.shared_targets.poll_gate import MembershipLease
from runtime import compacted_topic
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.startup import prepare
from schemas.records import TargetStatus

log = structlog.get_logger()
STATE_SCHEMAS: Final = ("TargetStatus", "Heartbeat")
LEAVE_TIMEOUT_S: Final = 10.0
"""When the producer stops, leaving the consumer group may take this long."""
StatusesByHost = Mapping[str, TargetStatus]


def run(
    source: str,
    fleet: Path,
    settings: KafkaSettings,
    stop: threading.Event,
    *,
    name: str | None = None,
    metadata: ClusterMetadata | None = None,
) -> None:
    """Polls the targets of a fleet file until `stop` is set.

    Changes of the file are applied while it runs; SIGHUP checks it without delay. Targets that the control topic stops
    are not polled.

    Args:
        source: A key of `SOURCE_SPECS`.
        fleet: The fleet file.
        settings: Where Kafka is.
        stop: Ends the producer.
        name: Name of the producer; default: source and host name.
        metadata: Cluster metadata, if the check of the ACLs has already fetched it.

    Raises:
        Misconfigured: The file is wrong or has no targets of the source, or topics are missing.
        Retry: Kafka does not answer.
    """
    text = config.read_text(fleet)
    targets = targets_by_host(config.parse(text, fleet), source).values()
    if not targets:
        raise Misconfigured(f"{fleet} names no {source} targets")
    commands = _connect(source, settings, metadata)
    last_statuses = read_statuses(settings, source)
    readers = create_readers(source, targets, last_statuses)
    loop = PollLoop(
        _open_publisher(source, settings, name),
        readers,
        SOURCE_SPECS[source].source.raw_topic,
        source=source,
        last_statuses=last_statuses,
        desired=commands.desired,
    )
    reloader = FleetReloader(
        fleet,
        text,
        source,
        create_readers=lambda added: _create_added_readers(settings, source, added),
        on_change=loop.apply_change,
    )
    if threading.current_thread() is threading.main_thread():  # in another thread, signals belong to the caller
        signal.signal(signal.SIGHUP, lambda *_: reloader.trigger())

    def stop_loop() -> None:
        stop.wait()
        loop.stop()

    threading.Thread(target=stop_loop, daemon=True, name="stop").start()
    threading.Thread(target=reloader.run, args=(stop,), daemon=True, name="fleet").start()
    threading.Thread(target=commands.run, args=(stop, loop.apply_commands), daemon=True, name="control").start()
    loop.run()


def run_shared(
    source: str,
    settings: KafkaSettings,
    stop: threading.Event,
    *,
    name: str | None = None,
    metadata: ClusterMetadata | None = None,
) -> None:
    """Polls a share of the targets on Kafka until `stop` is set.

    Args:
        source: A key of `SOURCE_SPECS`.
        settings: Where Kafka is.
        stop: Ends the producer.
        name: Name of the producer; default: source and host name.
        metadata: Cluster metadata, if the check of the ACLs has already fetched it.

    Raises:
        Misconfigured: Topics or ACLs are missing, or the policy for shared targets is invalid.
        Retry: Kafka does not answer.
    """
    spec, policy = SOURCE_SPECS[source], SharedTargetPolicy.read()
    lease, loop_stopped = MembershipLease(), threading.Event()
    commands = _connect(source, settings, metadata)
    publisher = _open_publisher(source, settings, name)
    loop = PollLoop(
        publisher,
        (),
        spec.source.raw_topic,
        source=source,
        desired=commands.desired,
        may_poll=lambda: lease.allows_polls(time.monotonic()),
    )

    def create_shared_reader(target: FleetTarget, last_status: TargetStatus | None) -> Reader:
        policy.check(target)
        return spec.create_reader(target, last_status, policy.read_secret)

    assignment = TargetAssignment(
        source,
        publisher,
        read_statuses=lambda partitions: read_statuses(settings, source, partitions),
        create_reader=create_shared_reader,
        on_change=loop.apply_change,
        release=loop.release,
    )
    member = GroupMember(settings, source, lease, assignment)
    threading.Thread(target=commands.run, args=(stop, loop.apply_commands), daemon=True, name="control").start()
    threading.Thread(target=assignment.run, args=(stop,), daemon=True, name="assignment").start()
    membership = threading.Thread(target=member.run, args=(stop, loop.stop, loop_stopped), daemon=True, name="group")
    membership.start()
    try:
        loop.run()
    finally:
        loop_stopped.set()
        stop.set()
    membership.join(LEAVE_TIMEOUT_S)
    if member.failure is not None:
        raise member.failure


def create_readers(
    source: str, targets: Iterable[FleetTarget], last_statuses: StatusesByHost | None = None
) -> list[Reader]:
    """Creates a reader for each target.

    Args:
        source: A key of `SOURCE_SPECS`.
        targets: Targets of the source.
        last_statuses: Latest statuses of the targets; sessions named there are closed by the readers.

    Raises:
        Misconfigured: A package that the source needs is not installed, or secrets are missing; names all of them.
    """
    readers: list[Reader] = []
    problems: dict[str, None] = {}
    for target in targets:
        try:
            readers.append(SOURCE_SPECS[source].create_reader(target, (last_statuses or {}).get(target.host)))
        except Misconfigured as error:
            problems[str(error)] = None
    if problems:
        raise Misconfigured("\n  ".join([f"{source} targets:", *problems] if len(problems) > 1 else problems))
    return readers


def read_statuses(settings: KafkaSettings, source: str, partitions: Collection[int] | None = None) -> StatusesByHost:
    """Reads the latest statuses of the targets of a source, by any producer.

    Args:
        settings: Where Kafka is.
        source: A key of `SOURCE_SPECS`.
        partitions: Partitions to read; by default all.

    Raises:
        Retry: The broker did not answer.
    """
    try:
        table = compacted_topic.read_latest(settings, "state-targets", partitions=partitions)
    except KafkaException as error:
        raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
    statuses = cast("list[TargetStatus]", list(table.values()))
    return {status["host"]: status for status in statuses if status["source"] == source}


def _create_added_readers(settings: KafkaSettings, source: str, targets: Iterable[FleetTarget]) -> list[Reader]:
    """Creates readers while the producer runs.

    Without Kafka, sessions of earlier producers stay until they expire.
    """
    last_statuses: StatusesByHost = {}
    try:
        last_statuses = read_statuses(settings, source)
    except Retry as error:
        log.warning("statuses not read, sessions of earlier producers may stay open", reason=str(error))
    return create_readers(source, targets, last_statuses)


def _connect(source: str, settings: KafkaSettings, metadata: ClusterMetadata | None) -> CommandSubscriber:
    """Prepares Kafka for the producer and reads the commands in force."""
    schema = settings.catalog[SOURCE_SPECS[source].source.raw_topic].schema
    prepare(settings, schemas=(schema, *STATE_SCHEMAS), metadata=metadata)
    return CommandSubscriber(settings)


def _open_publisher(source: str, settings: KafkaSettings, name: str | None) -> RecordPublisher:
    return RecordPublisher.open(settings, name or f"{source}-{socket.gethostname()}")
