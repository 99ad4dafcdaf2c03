"""Feeds a view from Kafka, in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import Final, Self

import structlog
from confluent_kafka import KafkaException, TopicPartition

from rackstream.view import FOLDS, View
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

log = structlog.get_logger()
SHOWN: Final = (
    "raw-host", "raw-libvirt", "raw-redfish", "vm-totals", "vm-features", "device-rates", "power", "alerts",
    "state-alerts", "state-health", "state-targets", "heartbeats", "dead-letter",
)  # fmt: skip


class Feed:
    """Reads the topics from their beginning, or from now, and keeps `view` up to date. Take `lock` to look at it."""

    def __init__(self, settings: KafkaSettings, *, from_beginning: bool) -> None:
        self.view = View()
        self.lock = threading.Lock()
        self._settings = settings
        self._starts = [
            TopicPartition(settings.catalog[alias].name, number, first if from_beginning else end)
            for alias in SHOWN
            for number, (first, end) in kafka.watermarks(settings, settings.catalog[alias].name).items()
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="feed")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        names = {self._settings.catalog[alias].name: alias for alias in SHOWN}
        decoders = {alias: decoder(self._settings, alias) for alias in FOLDS}
        reader = kafka.consumer(self._settings, "rackstream-view", **{"fetch.wait.max.ms": 100})
        reader.assign(self._starts)
        try:
            while not self._stop.is_set():
                for message in reader.consume(500, timeout=0.2):
                    if message.error() is not None:
                        continue  # Kafka is away: the client reconnects by itself
                    alias = names[message.topic()]
                    record = None
                    if alias in decoders and message.value():
                        try:
                            record = decoders[alias].decode(message.value())
                        except (codec.Undecodable, KafkaException) as error:
                            log.debug("not shown", topic=message.topic(), why=str(error))
                    with self.lock:
                        self.view.see(alias, record, time.monotonic())
        finally:
            reader.close()
