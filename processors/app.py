"""The Faust app: one agent per input topic, which hands batches to the shell. The only module that knows Faust."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Final

import faust
import structlog
import uvloop

from processors.mounts import mounted
from processors.shell import EXIT_AGAIN, EXIT_HUNG, UNDELIVERED_S, ProcessorSettings, Progress, Shell, leave
from runtime import observe
from runtime.errors import Misconfigured
from runtime.topics import publish_schemas, verify

log = structlog.get_logger()
STOP_S: Final = 15.0


def build(settings: ProcessorSettings, shell: Shell) -> Any:
    """The Faust app with one agent per input topic."""
    app = faust.App(
        settings.group,
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        datadir=settings.data_dir / "faust",
        store="memory://",
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=0.5,
        broker_session_timeout=6.0,  # so long the others wait before they take a killed worker's partitions
        broker_heartbeat_interval=1.5,
        broker_rebalance_timeout=20.0,
        consumer_max_fetch_size=8 * 1024 * 1024 + 65536,
        web_enabled=False,
    )
    for alias in shell.inputs:
        topic = app.topic(settings.catalog[alias].name, key_type=bytes, value_type=bytes, value_serializer="raw")
        app.agent(topic, name=f"step-{alias}")(_agent(shell, alias))
    app.on_partitions_assigned.connect(_ready, weak=False)
    return app


def _agent(shell: Shell, alias: str) -> Any:
    async def agent(stream: Any) -> None:
        try:
            async for events in stream.noack_take(500, within=0.1):
                await shell.batch(alias, events)
                for event in events:
                    await stream.ack(event)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:
            log.exception("batch failed", topic=alias, why=repr(error))
            leave(EXIT_AGAIN, "the batch is stepped again after a restart")

    return agent


async def _ready(_app: Any, assigned: set[Any], **_: Any) -> None:
    log.info("partitions assigned", count=len(assigned))
    observe.notify("READY=1")


def _watch(app: Any, progress: Progress) -> None:
    """A thread, not a task: what hangs may be the event loop itself."""
    stopping_s: float | None = None
    while True:
        time.sleep(1)
        now_s, since = time.monotonic(), progress.since
        if since is not None and now_s - since > UNDELIVERED_S:
            leave(EXIT_HUNG, f"a batch was not delivered for {UNDELIVERED_S:.0f} s")
        if app.should_stop:
            stopping_s = stopping_s or now_s
            if now_s - stopping_s > STOP_S:
                leave(EXIT_AGAIN, f"it did not stop in order within {STOP_S:.0f} s, as when Kafka is away")


class RateLimit(logging.Filter):
    """Lets `most` records per 10 s of one logger through: in an outage aiokafka writes thousands a second."""

    def __init__(self, most: int = 5) -> None:
        super().__init__()
        self._most = most
        self._window: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        began, count = self._window.get(record.name, (0.0, 0))
        if record.created - began > 10:
            began, count = record.created, 0
        self._window[record.name] = (began, count + 1)
        return count < self._most


def main(settings: ProcessorSettings) -> None:
    """Runs a worker until a signal. Exit codes: 0 stopped, 1 and 3 start again, 2 misconfigured, 4 do not start."""
    verify(settings)
    publish_schemas(settings)
    logging.disable(logging.DEBUG)  # faust and aiokafka build debug records on hot paths even when nobody reads them
    for handler in logging.getLogger().handlers:
        handler.addFilter(RateLimit())
    if settings.security_protocol != "PLAINTEXT":
        raise Misconfigured("the processors cannot log in to Kafka yet: KAFKA_SECURITY_PROTOCOL must be PLAINTEXT")
    shell = Shell(settings, mounted())
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    app = build(settings, shell)
    threading.Thread(target=_watch, args=(app, shell.progress), daemon=True, name="watchdog").start()
    log.info("processor starts", group=settings.group, topics=shell.inputs)
    worker = faust.Worker(app, loop=loop, quiet=True, loglevel="WARN", redirect_stdouts=False)
    worker.execute_from_commandline()
