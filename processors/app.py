"""The Faust app: one agent per input topic, which passes batches to the worker. The only module that uses Faust."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import faust
import structlog
import uvloop
from confluent_kafka import KafkaException
from confluent_kafka.admin import ClusterMetadata

from processors.alerting.rule_topic import RuleTopicReader
from processors.engine import log_filters
from processors.engine.worker import (
    DELIVERY_TIMEOUT_S,
    EXIT_HUNG,
    EXIT_MISCONFIGURED,
    EXIT_RESTART,
    BatchWorker,
    ProcessorSettings,
    exit_process,
)
from processors.registry import JOINS, STEPS
from runtime import kafka_auth, metrics, observability
from runtime.errors import Misconfigured
from runtime.private_files import make_private_directory
from runtime.startup import prepare

log = structlog.get_logger()
FaustApp = Any
"""A `faust.App`: Faust ships no types."""
STOP_TIMEOUT_S: Final = 15.0
MAX_BATCH_RECORDS: Final = 100
"""Other topics get their turn between batches only, so batches are kept short."""
FETCH_WAIT_MS: Final = 50
FETCH_BYTES: Final = 64 * 1024
"""Fetch size per partition (a larger record comes whole): Faust hands out all it has before it fetches again."""


def build(settings: ProcessorSettings, worker: BatchWorker) -> FaustApp:
    """Creates the Faust app with one agent per input topic."""
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
        broker_session_timeout=6.0,  # how long a killed worker keeps its partitions
        broker_heartbeat_interval=1.5,
        broker_rebalance_timeout=20.0,
        consumer_max_fetch_size=FETCH_BYTES,
        web_enabled=False,
    )
    for alias in worker.state_store.inputs:
        name = settings.catalog[alias].name
        topic = app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")
        app.agent(topic, name=f"step-{alias}")(_agent(app, worker, alias, name))
    _follow_rebalances(app, worker)
    return app


def _credentials(settings: ProcessorSettings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Returns Faust's credentials object; None without a login.

    Raises:
        Misconfigured: A certificate or key file cannot be read.
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


def _agent(app: FaustApp, worker: BatchWorker, alias: str, topic: str) -> Callable[[faust.Stream], Awaitable[None]]:
    """Returns the agent that reads one input topic."""

    async def agent(stream: faust.Stream) -> None:
        try:
            async for batch in stream.noack_take(MAX_BATCH_RECORDS, within=0.1):
                # Records that Faust still held when their partition was revoked are processed by its next owner.
                generation = app.consumer_generation_id
                events = [
                    event for event in batch if event.message.generation_id == generation and worker.accepts_batches
                ]
                if not events:
                    continue
                await worker.process_batch(alias, events)
                # An acknowledgement from the previous generation would be a commit in the current one.
                if worker.accepts_batches and app.consumer_generation_id == generation:
                    for event in events:
                        await stream.ack(event)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except Misconfigured as error:
            exit_process(EXIT_MISCONFIGURED, str(error))
        except KafkaException as error:
            log.error("batch failed", topic=topic, reason=error.args[0].str())  # noqa: TRY400  its stack trace adds nothing
            exit_process(EXIT_RESTART, "the batch is processed again after a restart")
        except Exception as error:
            log.exception("batch failed", topic=topic, reason=repr(error))
            exit_process(EXIT_RESTART, "the batch is processed again after a restart")

    return agent


def _follow_rebalances(app: FaustApp, worker: BatchWorker) -> None:
    """Finishes running batches before partitions are revoked, and drops the states of lost partitions.

    So the next owner of a partition finds all outputs of its records on their topics, and none is added later.
    """

    async def revoked(*_: object, **__: object) -> None:
        await worker.pause()

    async def assigned(_app: FaustApp, assigned: set[faust.types.TP], **_: object) -> None:
        generation = app.consumer_generation_id
        _shorten_fetch_wait(app)
        worker.state_store.retain({(partition.topic, partition.partition) for partition in assigned}, generation)
        worker.accepts_batches = True
        log.info("partitions assigned", count=len(assigned), generation=generation)
        observability.notify("READY=1")

    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_partitions_assigned.connect(assigned, weak=False)


def _shorten_fetch_wait(app: FaustApp) -> None:
    """Limits a fetch on the broker to `FETCH_WAIT_MS`; Faust's value is 1.5 s and cannot be configured.

    aiokafka has one fetch per broker in progress: while it waits for idle topics, the others get nothing. Under a load
    of VM records, alerts took 1.7 s that way.
    """
    fetcher = app.consumer._thread._ensure_consumer()._fetcher  # noqa: SLF001  there is no public way
    if not hasattr(fetcher, "_fetch_max_wait_ms"):
        raise AttributeError("this aiokafka has no _fetch_max_wait_ms: alerts would wait for idle topics")
    fetcher._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001


def _update_lag_metric(app: FaustApp, worker: BatchWorker) -> None:
    """Sets the lag of each partition on /metrics."""
    for (alias, number), next_offset in worker.state_store.next_offsets().items():
        try:
            end = app.consumer.highwater(faust.types.TP(worker.topic_name(alias), number))
        except Exception:  # noqa: BLE001, S112  the partition is being revoked; the watchdog must go on
            continue
        if end is not None:
            metrics.PARTITION_LAG.labels(alias, str(number)).set(max(0, end - next_offset))


def _watchdog(app: FaustApp, worker: BatchWorker) -> None:
    """Ends the process if it hangs. Runs in a thread, not a task: the event loop itself may hang."""
    stopping_since_s: float | None = None
    while True:
        time.sleep(1)
        now_s, oldest_start_s = time.monotonic(), worker.progress.oldest_start_s()
        _update_lag_metric(app, worker)
        if oldest_start_s is not None and now_s - oldest_start_s > DELIVERY_TIMEOUT_S:
            exit_process(EXIT_HUNG, f"a step ran, or a batch was not delivered, for {DELIVERY_TIMEOUT_S:.0f} s")
        if app.should_stop:
            stopping_since_s = stopping_since_s or now_s
            if now_s - stopping_since_s > STOP_TIMEOUT_S:
                exit_process(
                    EXIT_RESTART,
                    f"no orderly stop within {STOP_TIMEOUT_S:.0f} s, for example because Kafka is unreachable",
                )


def main(settings: ProcessorSettings, metadata: ClusterMetadata | None = None) -> None:
    """Runs a worker until a signal. Exit codes: 0 stopped, 1 and 3 restart, 2 misconfigured, 4 do not restart."""
    prepare(settings, metadata=metadata)
    logging.disable(logging.DEBUG)  # faust and aiokafka build debug records on hot paths even when nobody reads them
    for handler in logging.getLogger().handlers:
        handler.addFilter(log_filters.AuthorizationErrorFilter(settings))
        handler.addFilter(log_filters.LoginErrorFilter(settings))
        handler.addFilter(log_filters.RateLimitFilter())
    make_private_directory(settings.data_dir)  # Faust creates only its own subdirectory
    batch_worker = BatchWorker(settings, STEPS, JOINS, rules=RuleTopicReader(settings))
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    app = build(settings, batch_worker)
    threading.Thread(target=_watchdog, args=(app, batch_worker), daemon=True, name="watchdog").start()
    topics = [settings.catalog[alias].name for alias in batch_worker.state_store.inputs]
    log.info("processor starts", group=settings.group, topics=topics)
    worker = faust.Worker(app, loop=loop, quiet=True, loglevel="WARN", redirect_stdouts=False, override_logging=False)
    worker.execute_from_commandline()
