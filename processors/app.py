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
from confluent_kafka import KafkaException

from processors.engine import log_filters
from processors.engine.worker import (
    EXIT_AGAIN,
    EXIT_HUNG,
    EXIT_MISCONFIGURED,
    UNDELIVERED_S,
    ProcessorSettings,
    Shell,
    leave,
)
from processors.registry import joined, mounted
from runtime import kafka_auth, metrics, observability
from runtime.errors import Misconfigured
from runtime.topics import publish_schemas, verify

log = structlog.get_logger()
STOP_S: Final = 15.0
TAKE: Final = 100
"""Most records of a batch. Only between batches is there a turn for the records of other topics."""
FETCH_WAIT_MS: Final = 50
FETCH_BYTES: Final = 64 * 1024
"""Of one partition at a time (a larger record comes whole): Faust hands out all that it got before it asks for more."""


def build(settings: ProcessorSettings, shell: Shell) -> Any:
    """The Faust app with one agent per input topic."""
    app = faust.App(
        settings.group,
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
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
        consumer_max_fetch_size=FETCH_BYTES,
        web_enabled=False,
    )
    for alias in shell.memories.inputs:
        topic = app.topic(settings.catalog[alias].name, key_type=bytes, value_type=bytes, value_serializer="raw")
        app.agent(topic, name=f"step-{alias}")(_agent(app, shell, alias))
    _follow_rebalances(app, shell)
    return app


def _credentials(settings: ProcessorSettings) -> Any:
    """The login as Faust wants it; None: there is none.

    Raises:
        Misconfigured: a file of it cannot be read.
    """
    context = kafka_auth.ssl_context(settings)
    if settings.uses_sasl:
        assert settings.sasl_password is not None
        return faust.SASLCredentials(
            mechanism=settings.sasl_mechanism,
            username=settings.sasl_username,
            password=settings.sasl_password.get_secret_value(),
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


def _agent(app: Any, shell: Shell, alias: str) -> Any:
    async def agent(stream: Any) -> None:
        try:
            async for events in stream.noack_take(TAKE, within=0.1):
                # Of what Faust held when partitions were given up, another worker has the say, or it comes again.
                generation = app.consumer_generation_id
                mine = [event for event in events if event.message.generation_id == generation and shell.working]
                if not mine:
                    continue
                await shell.batch(alias, mine)
                # An acknowledgement of the last generation would be a commit in this one.
                if shell.working and app.consumer_generation_id == generation:
                    for event in mine:
                        await stream.ack(event)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except Misconfigured as error:
            leave(EXIT_MISCONFIGURED, str(error))
        except KafkaException as error:
            log.error("batch failed", topic=alias, why=error.args[0].str())  # noqa: TRY400  whose stack says nothing
            leave(EXIT_AGAIN, "the batch is stepped again after a restart")
        except Exception as error:
            log.exception("batch failed", topic=alias, why=repr(error))
            leave(EXIT_AGAIN, "the batch is stepped again after a restart")

    return agent


def _follow_rebalances(app: Any, shell: Shell) -> None:
    """Before partitions are given up, what is under way is finished; what was lost is forgotten.

    So whoever has a partition next finds on its topics all that came of it, and nothing is added later.
    """

    async def revoked(*_: Any, **__: Any) -> None:
        await shell.pause()

    async def assigned(_app: Any, assigned: set[Any], **_: Any) -> None:
        generation = app.consumer_generation_id
        _ask_often(app)
        shell.memories.keep({(each.topic, each.partition) for each in assigned}, generation)
        shell.working = True
        log.info("partitions assigned", count=len(assigned), generation=generation)
        observability.notify("READY=1")

    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_partitions_assigned.connect(assigned, weak=False)


def _ask_often(app: Any) -> None:
    """Lets the broker hold a fetch for `FETCH_WAIT_MS`: Faust says 1.5 s, and has no setting for it.

    Of one broker aiokafka fetches one thing at a time: while it waits for topics on which nothing happens, nothing
    comes of the others. Alerts took 1.7 s that way, beside any load of VM records.
    """
    fetcher = app.consumer._thread._ensure_consumer()._fetcher  # noqa: SLF001  the only way to it
    if not hasattr(fetcher, "_fetch_max_wait_ms"):
        raise AttributeError("this aiokafka has no _fetch_max_wait_ms: alerts would wait for idle topics")
    fetcher._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001


def _tell_lag(app: Any, shell: Shell) -> None:
    """Per-partition lag on /metrics."""
    for (alias, number), reached in shell.memories.positions().items():
        try:
            end = app.consumer.highwater(faust.types.TP(shell.topic(alias), number))
        except Exception:  # noqa: BLE001, S112  it is being given up in this moment; whoever calls this must live on
            continue
        if end is not None:
            metrics.LAG.labels(alias, str(number)).set(max(0, end - reached))


def _watch(app: Any, shell: Shell) -> None:
    """A thread, not a task: what hangs may be the event loop itself."""
    stopping_s: float | None = None
    while True:
        time.sleep(1)
        now_s, since = time.monotonic(), shell.progress.oldest()
        _tell_lag(app, shell)
        if since is not None and now_s - since > UNDELIVERED_S:
            leave(EXIT_HUNG, f"a record was stepped, or a batch not delivered, for {UNDELIVERED_S:.0f} s")
        if app.should_stop:
            stopping_s = stopping_s or now_s
            if now_s - stopping_s > STOP_S:
                leave(EXIT_AGAIN, f"it did not stop in order within {STOP_S:.0f} s, as when Kafka is away")


def main(settings: ProcessorSettings) -> None:
    """Runs a worker until a signal. Exit codes: 0 stopped, 1 and 3 start again, 2 misconfigured, 4 do not start."""
    verify(settings)
    publish_schemas(settings)
    logging.disable(logging.DEBUG)  # faust and aiokafka build debug records on hot paths even when nobody reads them
    for handler in logging.getLogger().handlers:
        handler.addFilter(log_filters.Denied(settings))
        handler.addFilter(log_filters.Refused(settings))
        handler.addFilter(log_filters.RateLimit())
    settings.data_dir.mkdir(parents=True, exist_ok=True)  # Faust makes its own in it, and nothing above
    shell = Shell(settings, mounted(), joined())
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    app = build(settings, shell)
    threading.Thread(target=_watch, args=(app, shell), daemon=True, name="watchdog").start()
    log.info("processor starts", group=settings.group, topics=shell.memories.inputs)
    worker = faust.Worker(app, loop=loop, quiet=True, loglevel="WARN", redirect_stdouts=False, override_logging=False)
    worker.execute_from_commandline()
