"""Publishes an application's items to `fleet.raw.app`, one record per batch.

Imports Kafka's client when used.
"""

from __future__ import annotations

import atexit
import fcntl
import itertools
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from producers.app import avro_codec
from producers.app.filters import select
from producers.app.fork_safety import reset_after_fork
from producers.app.model import TelemetryData

if TYPE_CHECKING:
    from producers.publishing.publisher import RecordPublisher
    from runtime.settings import KafkaSettings
    from schemas.records import AppSample

log = logging.getLogger(__name__)
ALIAS: Final = "raw-app"
POLL_S: Final = 0.25
RETRY_S: Final = 5.0
"""Seconds between two attempts to reach Kafka for the first time."""
FIRST_ANSWER_S: Final = 1.0
"""If Kafka's first answer takes longer than this, records are spooled to disk meanwhile."""
MAX_WAITING: Final = 1000
"""If more records wait for the publishing thread, `store` raises, and the collector holds its items."""
CLOSE_TIMEOUT_S: Final = 10.0
_ABANDONED: Final[list[RecordPublisher]] = []
"""Publishers of the parent in a forked child, kept because librdkafka cannot be closed there."""


@dataclass(frozen=True)
class _AppSubject:
    """Subject of the application's records."""

    host: str
    labels: Mapping[str, str]
    intervals: Mapping[str, float]


class KafkaStorage:
    """Publishes items in order, in a thread of its own.

    `store` waits neither for Kafka nor for the disk. Records that Kafka does not accept wait in a spool on disk, where
    they survive the process, and are sent first at its next start. The topics must exist.
    """

    def __init__(
        self,
        source: str,
        *,
        settings: KafkaSettings | None = None,
        host: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Creates a storage; connects when it is used.

        Args:
            source: Name of the application, and the Kafka key of its records.
            settings: Kafka; by default from the environment (`KAFKA_BOOTSTRAP_SERVERS`, …).
            host: The fleet's name of this machine, by default its host name.
            labels: Labels of the records.

        Raises:
            Misconfigured: Kafka's address is not set.
        """
        from runtime.errors import Misconfigured
        from runtime.settings import KafkaSettings

        self._settings = settings or KafkaSettings.read()
        if not self._settings.bootstrap:
            raise Misconfigured("KAFKA_BOOTSTRAP_SERVERS: not set; an application cannot start a Kafka of its own")
        self.source = source
        self._subject = _AppSubject(
            host or socket.gethostname(), labels or {}, dict.fromkeys(avro_codec.CATEGORIES, 0.0)
        )
        self.rejected = 0
        """Records that could not be encoded as Avro."""
        self._publisher: RecordPublisher | None = None
        self.reset()
        reset_after_fork(self)
        atexit.register(self.flush)

    @property
    def confirmed(self) -> int:
        """Records that Kafka has confirmed."""
        return self._publisher.records if self._publisher else 0

    @property
    def dropped(self) -> int:
        """Records dropped; the next record that is published names them."""
        return self._publisher.dropped if self._publisher else 0

    @property
    def waiting(self) -> int:
        """Records that Kafka has not confirmed yet."""
        return len(self._waiting) + (self._publisher.queued if self._publisher else 0)

    @property
    def unsaved(self) -> int:
        """Waiting records that are not on disk either: a kill -9 would lose them now."""
        return len(self._waiting) + (self._publisher.unsaved if self._publisher else 0)

    def store(self, data: TelemetryData) -> None:
        """Queues items as one record, or as several if one would be too large.

        Raises:
            BufferError: Too many records wait for the publishing thread.
        """
        self._put(avro_codec.TELEMETRY, avro_codec.record_bodies(self.source, data))

    def store_execution(self, stats: avro_codec.ExecutionSnapshot) -> None:
        """Queues execution statistics (`producers.execution`) as a record.

        Raises:
            BufferError: Too many records wait for the publishing thread.
        """
        self._put(avro_codec.EXECUTIONS, [avro_codec.execution_body(self.source, stats)])

    def retrieve(
        self, start_time: datetime | None = None, end_time: datetime | None = None, limit: int | None = None
    ) -> TelemetryData:
        """Returns the items of this application, on any host, from the topic.

        Reads all of it: for small fleets.
        """
        from runtime import kafka
        from runtime.topics import decoder

        decode = decoder(self._settings, ALIAS).decode
        messages = kafka.read_all(self._settings, self._settings.catalog[ALIAS].name)
        records = (
            cast("AppSample", decode(message.value())) for message in messages if message.key() == self.source.encode()
        )
        items = (item for record in records for item in avro_codec.record_items(record))
        return select(items, start_time, end_time, limit)

    def flush(self, timeout_s: float = CLOSE_TIMEOUT_S) -> int:
        """Waits until Kafka has confirmed all records; returns the number that it has not."""
        deadline_s = time.monotonic() + timeout_s
        while self.waiting and time.monotonic() < deadline_s:
            if self._thread is None or not self._thread.is_alive():
                self._publish_waiting()  # no thread can be started any more at interpreter exit
            self._wake.set()
            time.sleep(0.005)
        if self.unsaved:
            log.error("%d records of %s are neither confirmed by Kafka nor on disk", self.unsaved, self.source)
        elif self.waiting:
            log.warning("%d records of %s wait on disk for Kafka", self.waiting, self.source)
        return self.waiting

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> int:
        """Flushes, then disconnects.

        Returns the number of records that are neither confirmed nor on disk.
        """
        self.flush(timeout_s)
        self._closing.set()
        self._wake.set()
        with self._publish_lock:  # a call in progress may be opening the spool
            lost = len(self._waiting)
            self._waiting.clear()
            if self._publisher is not None:
                lost += self._publisher.close(0)
            if self._slot is not None:
                self._slot.close()
        atexit.unregister(self.flush)
        return lost

    def reset(self) -> None:
        """Starts without connection, thread and records; a forked child leaves them to its parent."""
        if self._publisher is not None:
            _ABANDONED.append(self._publisher)
        self._publisher = None
        self._slot: FileIO | None = None
        self._lock = threading.Lock()
        self._publish_lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._ready = threading.Event()
        self._topic_thread: threading.Thread | None = None
        self._waiting: deque[tuple[str, avro_codec.AppBody]] = deque()
        self._thread: threading.Thread | None = None

    def _put(self, category: str, bodies: list[avro_codec.AppBody]) -> None:
        with self._lock:
            if self._closing.is_set():
                raise BufferError("closed")
            if len(self._waiting) > MAX_WAITING:
                raise BufferError(f"{len(self._waiting)} records wait to be published")
            self._waiting.extend((category, body) for body in bodies)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="telemetry-kafka", daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:
                    log.debug("no thread at interpreter exit: `flush` publishes")
        self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            if not self._publish_waiting():
                self._closing.wait(RETRY_S)

    def _publish_waiting(self) -> bool:
        """Publishes the waiting records.

        Returns False if that is impossible, and should be retried later.
        """
        with self._publish_lock:
            if self._closing.is_set():
                return False
            if self._publisher is None:
                try:
                    self._publisher = self._open()
                except Exception as error:  # noqa: BLE001  whatever it is, records wait and it is retried
                    log.warning("records of %s wait in memory: %s", self.source, error)
                    return False
            if not self._ready.is_set():
                self._start_topic_check(self._publisher)
                if not self._ready.is_set() and self._settings.schema_registry is not None:
                    return True  # records carry the registry's ids: none can be encoded yet
            while self._waiting:
                self._publish(self._publisher, *self._waiting[0])
                self._waiting.popleft()  # only now: `waiting` must include records in flight
            self._publisher.poll()
            return True

    def _start_topic_check(self, publisher: RecordPublisher) -> None:
        """Checks the topic and publishes the schema, in a thread: Kafka may not answer for long."""
        if self._topic_thread is not None:
            return
        self._topic_thread = threading.Thread(
            target=self._check_topic_until_ready, args=(publisher,), name="telemetry-kafka-first", daemon=True
        )
        try:
            self._topic_thread.start()
        except RuntimeError:  # at interpreter exit
            self._topic_thread = None
            self._check_topic(publisher)
        else:
            self._ready.wait(FIRST_ANSWER_S)

    def _check_topic_until_ready(self, publisher: RecordPublisher) -> None:
        while not self._check_topic(publisher):
            if self._closing.wait(RETRY_S):
                return

    def _check_topic(self, publisher: RecordPublisher) -> bool:
        """Checks the topic and publishes the schema. Returns False if Kafka is not ready."""
        from runtime.kafka import watermarks
        from runtime.topics import publish_schemas

        topic = self._settings.catalog[ALIAS]
        try:
            watermarks(self._settings, topic.name)  # raises if the topic is missing
            publish_schemas(self._settings, (topic.schema,))
        except Exception as error:  # noqa: BLE001  whatever it is, records wait and it is retried
            log.warning("Kafka at %s is not ready: %s", self._settings.bootstrap, error)
            return False
        publisher.set_ready()
        self._ready.set()
        self._wake.set()
        return True

    def _publish(self, publisher: RecordPublisher, category: str, body: avro_codec.AppBody) -> None:
        try:
            publisher.publish(ALIAS, self._subject, category, avro_codec.sample(body), began_s=time.monotonic())
        except ValueError:
            self.rejected += 1
            log.exception("a record of %s cannot be encoded", self.source)

    def _open(self) -> RecordPublisher:
        from producers.publishing.publisher import RecordPublisher

        folder = self._settings.data_dir / "producers"
        name = f"app-{quote(self.source, safe='')}"
        slots = _claim_slots(folder, name)
        own, *others = slots
        try:
            publisher = RecordPublisher.open(
                self._settings, f"{own}@{self._subject.host}", file=own, abandoned=others, ready=False
            )
        except Exception:
            slots[own].close()
            raise
        finally:
            for other in others:
                slots[other].close()
        self._slot = slots[own]
        return publisher


def _claim_slots(folder: Path, name: str) -> dict[str, FileIO]:
    """Locks the first free slot for a process of this application on this machine.

    Processes of one application must not share a journal, and a later process should continue that of an earlier one.
    Higher slots that were used once and are free now are locked too, so that records left there can be sent.

    Returns:
        Name and lock file of the own slot first, then of the others.
    """
    from runtime.private_files import make_private_directory

    make_private_directory(folder)
    slots: dict[str, FileIO] = {}
    for number in itertools.count():
        path = folder / f"{name}-{number}.lock"
        if slots and not path.exists():
            return slots
        handle = FileIO(path, "a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
        else:
            slots[f"{name}-{number}"] = handle
    raise AssertionError
