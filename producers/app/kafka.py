"""Publishes an application's items to `fleet.raw.app`, one record per batch. Kafka's client is imported when used."""

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
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from producers.app import avro_codec
from producers.app.filters import select
from producers.app.fork_safety import renew_after_fork
from producers.app.model import TelemetryData

if TYPE_CHECKING:
    from producers.publishing.publisher import Publication
    from runtime.settings import KafkaSettings

log = logging.getLogger(__name__)
ALIAS: Final = "raw-app"
POLL_S: Final = 0.25
RETRY_S: Final = 5.0
"""Time between two attempts to reach Kafka for the first time."""
FIRST_S: Final = 1.0
"""Kafka's first answer is waited for this long; from then on records go on disk meanwhile."""
MAX_WAITING: Final = 1000
"""Records that wait for the publishing thread; beyond them `store` refuses, and the collector holds its items."""
CLOSE_S: Final = 10.0
_ABANDONED: Final[list[Publication]] = []
"""A parent's, in a forked child: librdkafka cannot be ended there."""


@dataclass(frozen=True)
class _App:
    """What a publication asks of a target."""

    host: str
    labels: Mapping[str, str]
    intervals: Mapping[str, float]


class KafkaStorage:
    """Publishes what it is given, in order, from a thread of its own: `store` waits neither for Kafka nor for a disk.

    What Kafka does not take waits in a spool on disk, where it survives the process, and is sent first at its next
    start. `source` is the application's name and the Kafka key. Where Kafka is comes from `settings`, else from the
    environment (`KAFKA_BOOTSTRAP_SERVERS`, …). The topics must exist.
    """

    def __init__(
        self,
        source: str,
        *,
        settings: KafkaSettings | None = None,
        host: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """`host` is the fleet's name of this machine, by default its host name.

        Raises:
            Misconfigured: nothing says where Kafka is.
        """
        from runtime.errors import Misconfigured
        from runtime.settings import KafkaSettings

        self._settings = settings or KafkaSettings.read()
        if not self._settings.bootstrap:
            raise Misconfigured("KAFKA_BOOTSTRAP_SERVERS: not set; an application cannot start a Kafka of its own")
        self.source = source
        self._app = _App(host or socket.gethostname(), labels or {}, dict.fromkeys(avro_codec.CATEGORIES, 0.0))
        self.rejected = 0
        """Records that could not be written as Avro."""
        self._publication: Publication | None = None
        self.renew()
        renew_after_fork(self)
        atexit.register(self.flush)

    @property
    def confirmed(self) -> int:
        """Records that Kafka has confirmed."""
        return self._publication.records if self._publication else 0

    @property
    def dropped(self) -> int:
        """Records given up; the next one that gets through names them."""
        return self._publication.dropped if self._publication else 0

    @property
    def waiting(self) -> int:
        """Records not confirmed yet."""
        return len(self._waiting) + (self._publication.queued if self._publication else 0)

    @property
    def unsaved(self) -> int:
        """Those of them that are not on disk either: what a kill -9 would lose now."""
        return len(self._waiting) + (self._publication.unsaved if self._publication else 0)

    def store(self, data: TelemetryData) -> None:
        """Hands items over as one record, or as several where one would be too large.

        Raises:
            BufferError: too many records wait for the publishing thread.
        """
        self._put(avro_codec.TELEMETRY, avro_codec.bodies(self.source, data))

    def store_execution(self, stats: Mapping[str, float]) -> None:
        """Hands one state of the execution statistics over (`producers.execution`).

        Raises:
            BufferError: too many records wait for the publishing thread.
        """
        self._put(avro_codec.EXECUTIONS, [avro_codec.execution(self.source, stats)])

    def retrieve(
        self, start_time: datetime | None = None, end_time: datetime | None = None, limit: int | None = None
    ) -> TelemetryData:
        """What this application, on any host, has on the topic now. Reads it whole: for tests and small fleets."""
        from runtime import kafka
        from runtime.topics import decoder

        decode = decoder(self._settings, ALIAS).decode
        messages = kafka.read_all(self._settings, self._settings.catalog[ALIAS].name)
        mine = (decode(message.value()) for message in messages if message.key() == self.source.encode())
        return select((item for record in mine for item in avro_codec.items(record)), start_time, end_time, limit)

    def flush(self, timeout_s: float = CLOSE_S) -> int:
        """Waits for Kafka's confirmation of everything; returns how many records still lack it."""
        deadline_s = time.monotonic() + timeout_s
        while self.waiting and time.monotonic() < deadline_s:
            if self._thread is None or not self._thread.is_alive():
                self._step()  # no thread can be started any more at interpreter exit
            self._wake.set()
            time.sleep(0.005)
        if self.unsaved:
            log.error("%d records of %s are neither confirmed by Kafka nor on disk", self.unsaved, self.source)
        elif self.waiting:
            log.warning("%d records of %s wait on disk for Kafka", self.waiting, self.source)
        return self.waiting

    def close(self, timeout_s: float = CLOSE_S) -> int:
        """Waits like `flush`, then lets Kafka go; returns how many records were given up: the disk has the others."""
        self.flush(timeout_s)
        self._closing.set()
        self._wake.set()
        with self._stepping:  # a step under way may be opening the spool
            left = len(self._waiting)
            self._waiting.clear()
            if self._publication is not None:
                left += self._publication.close(0)
            if self._slot is not None:
                self._slot.close()
        atexit.unregister(self.flush)
        return left

    def renew(self) -> None:
        """After a fork: connection, thread and waiting records are the parent's."""
        if self._publication is not None:
            _ABANDONED.append(self._publication)
        self._publication = None
        self._slot: FileIO | None = None
        self._lock = threading.Lock()
        self._stepping = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._ready = threading.Event()
        self._asker: threading.Thread | None = None
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._thread: threading.Thread | None = None

    def _put(self, category: str, bodies: list[dict[str, Any]]) -> None:
        with self._lock:
            if self._closing.is_set():
                raise BufferError("closed")
            if len(self._waiting) > MAX_WAITING:
                raise BufferError(f"{len(self._waiting)} records wait to be published")
            self._waiting.extend((category, body) for body in bodies)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="telemetry-kafka", daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:
                    log.debug("no thread at interpreter exit: `flush` publishes")
        self._wake.set()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            if not self._step():
                self._closing.wait(RETRY_S)

    def _step(self) -> bool:
        """Publishes what waits; False when that cannot be done yet, and not soon."""
        with self._stepping:
            if self._closing.is_set():
                return False
            if self._publication is None:
                try:
                    self._publication = self._open()
                except Exception as error:  # noqa: BLE001  whatever it is, records wait and it is tried again
                    log.warning("records of %s wait in memory: %s", self.source, error)
                    return False
            if not self._ready.is_set():
                self._ask(self._publication)
                if not self._ready.is_set() and self._settings.schema_registry is not None:
                    return True  # records carry the registry's ids: none can be written yet
            while self._waiting:
                self._publish(self._publication, *self._waiting[0])
                self._waiting.popleft()  # only now: what is on its way must be in `waiting` all the time
            self._publication.poll()
            return True

    def _ask(self, publication: Publication) -> None:
        """Has Kafka asked for the topic and given the schema, in a thread: an answer may take long, or never come."""
        if self._asker is not None:
            return
        self._asker = threading.Thread(
            target=self._ask_until_ready, args=(publication,), name="telemetry-kafka-first", daemon=True
        )
        try:
            self._asker.start()
        except RuntimeError:  # at interpreter exit
            self._asker = None
            self._is_there(publication)
        else:
            self._ready.wait(FIRST_S)

    def _ask_until_ready(self, publication: Publication) -> None:
        while not self._is_there(publication):
            if self._closing.wait(RETRY_S):
                return

    def _is_there(self, publication: Publication) -> bool:
        from runtime.kafka import watermarks
        from runtime.topics import publish_schemas

        topic = self._settings.catalog[ALIAS]
        try:
            watermarks(self._settings, topic.name)  # an error where the topic is missing
            publish_schemas(self._settings, (topic.schema,))
        except Exception as error:  # noqa: BLE001  whatever it is, records wait and it is tried again
            log.warning("Kafka at %s is not ready: %s", self._settings.bootstrap, error)
            return False
        publication.ready()
        self._ready.set()
        self._wake.set()
        return True

    def _publish(self, publication: Publication, category: str, body: dict[str, Any]) -> None:
        try:
            publication.publish(ALIAS, self._app, category, avro_codec.sample(body), began_s=time.monotonic())
        except ValueError:
            self.rejected += 1
            log.exception("a record of %s cannot be written", self.source)

    def _open(self) -> Publication:
        from producers.publishing.publisher import Publication

        folder = self._settings.data_dir / "producers"
        name = f"app-{quote(self.source, safe='')}"
        slots = _claim(folder, name)
        own = next(iter(slots))
        try:
            publication = Publication.open(
                self._settings, f"{own}@{self._app.host}", file=own, left=list(slots)[1:], ready=False
            )
        except Exception:
            slots[own].close()
            raise
        finally:
            for other in list(slots)[1:]:
                slots[other].close()
        self._slot = slots[own]
        return publication


def _claim(folder: Path, name: str) -> dict[str, FileIO]:
    """The first free number for a process of this application on this machine, and the lock that holds it.

    Processes of one application must not share a journal, and one started later should find that of an earlier. With
    it come the higher numbers that were used once and are free now: what their processes left can be sent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, FileIO] = {}
    for number in itertools.count():
        path = folder / f"{name}-{number}.lock"
        if found and not path.exists():
            return found
        handle = FileIO(path, "a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
        else:
            found[f"{name}-{number}"] = handle
    raise AssertionError
