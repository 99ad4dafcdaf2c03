"""Cases of the processor benchmark: the same step on the same records in six ways, each in its own process."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, cast

from confluent_kafka import TopicPartition

from bench.support.cpu_meter import CpuMeter
from processors import vms
from processors.alerting.rule_topic import RuleTopicReader
from processors.engine.partition import Partition
from processors.engine.step import AnyJoin, AnyStep
from processors.engine.worker import BatchWorker, ProcessorSettings
from processors.registry import JOINS, STEPS
from runtime import kafka
from runtime.topics import decoder
from schemas import catalog, codec
from schemas.records import LibvirtSample

PARTITIONS = 4
BATCH_RECORDS, BATCH_TIMEOUT_S, COMMIT_INTERVAL_S = 100, 0.1, 0.5


def step(settings: ProcessorSettings, meter: CpuMeter) -> None:
    """Runs the pure step on decoded records: no codec, no Kafka."""
    decode = decoder(settings, "raw-libvirt").decode
    messages = kafka.read_all(settings, settings.catalog["raw-libvirt"].name)
    records = [cast("LibvirtSample", decode(message.value())) for message in islice(messages, meter.total)]
    states: dict[str, Any] = {}
    for record in records:
        states[record["host"]], _ = vms.step(states.get(record["host"]), record)
        meter.add(1)
    meter.report()


def bare(settings: ProcessorSettings, meter: CpuMeter) -> None:
    """Consumes, decodes, steps, encodes, produces, waits for every delivery report, commits."""
    name, decode = settings.catalog["raw-libvirt"].name, decoder(settings, "raw-libvirt").decode
    partitions = {number: Partition(settings.catalog, [vms.STEP]) for number in range(PARTITIONS)}
    publisher = kafka.KafkaPublisher(settings, "bench")
    consumer = kafka.create_consumer(settings, settings.group)
    consumer.assign([TopicPartition(name, number, 0) for number in partitions])
    positions: dict[int, int] = {}
    committed_s = time.monotonic()
    done = False
    while not done:
        messages = consumer.consume(BATCH_RECORDS, timeout=BATCH_TIMEOUT_S)
        for message in messages:
            for output in partitions[message.partition()].apply(decode(message.value())).outputs:
                publisher.send(settings.catalog[output.alias].name, output.key, output.value, wait_s=10)
            positions[message.partition()] = message.offset() + 1
        while publisher.undelivered:
            publisher.poll(0.001)
        if positions and time.monotonic() - committed_s > COMMIT_INTERVAL_S:
            consumer.commit(offsets=[TopicPartition(name, *item) for item in positions.items()], asynchronous=True)
            committed_s = time.monotonic()
        done = meter.add(len(messages))
    meter.report()
    consumer.close()


def faust(settings: ProcessorSettings, meter: CpuMeter) -> None:
    """Runs the worker of `rackstream processor` with this step only."""
    _worker(settings, meter, [vms.STEP], [])


def all_steps(settings: ProcessorSettings, meter: CpuMeter) -> None:
    """Runs the worker of `rackstream processor` with all steps and joins."""
    _worker(settings, meter, STEPS, JOINS)


def _worker(settings: ProcessorSettings, meter: CpuMeter, steps: Sequence[AnyStep], joins: Sequence[AnyJoin]) -> None:
    import faust as faust_streaming
    import uvloop

    from processors import app as processor_app

    logging.disable(logging.DEBUG)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    batch_worker = BatchWorker(settings, steps, joins, rules=RuleTopicReader(settings))
    app = processor_app.build(settings, batch_worker)
    process_batch = batch_worker.process_batch

    async def batch(alias: str, events: Any) -> None:
        await process_batch(alias, events)
        if meter.add(len(events)):
            meter.report()
            os._exit(0)

    batch_worker.process_batch = batch  # type: ignore[method-assign]
    faust_streaming.Worker(
        app, loop=loop, quiet=True, loglevel="WARN", redirect_stdouts=False
    ).execute_from_commandline()


def naive(settings: ProcessorSettings, meter: CpuMeter, *, wait: bool = True) -> None:
    """Runs a simple Faust agent: `events()` and `topic.send`, waiting for the deliveries of each event."""
    import faust as faust_streaming

    app = faust_streaming.App(
        settings.group,
        broker=f"kafka://{settings.bootstrap}",
        datadir=settings.data_dir / f"naive-{os.getpid()}",
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=COMMIT_INTERVAL_S,
        producer_compression_type="zstd",
        producer_linger=0.005,
        web_enabled=False,
    )
    topics = {
        alias: app.topic(settings.catalog[alias].name, key_type=bytes, value_type=bytes, value_serializer="raw")
        for alias in ("raw-libvirt", *vms.STEP.outputs)
    }
    decode = decoder(settings, "raw-libvirt").decode
    states: dict[str, Any] = {}

    @app.agent(topics["raw-libvirt"])  # type: ignore[untyped-decorator]
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            record = cast("LibvirtSample", decode(event.value))
            states[record["host"]], outputs = vms.step(states.get(record["host"]), record)
            sent = []
            for alias, output in outputs:
                topic = settings.catalog[alias]
                value = codec.encode(catalog.schema(topic.schema), output)
                sent.append(await topics[alias].send(key=topic.key_of(output), value=value))
            for delivery in sent if wait else ():
                await delivery
            if meter.add(1):
                meter.report()
                os._exit(0)

    faust_streaming.Worker(app, quiet=True, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def unsafe(settings: ProcessorSettings, meter: CpuMeter) -> None:
    """Runs the simple Faust agent without waiting: undelivered outputs are lost in a crash."""
    naive(settings, meter, wait=False)


CASES: dict[str, Callable[[ProcessorSettings, CpuMeter], None]] = {
    "step": step,
    "bare": bare,
    "faust": faust,
    "naive": naive,
    "unsafe": unsafe,
    "whole": all_steps,
}
