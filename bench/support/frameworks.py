"""The same work on the same records in five ways; each runs in a process of its own and prints what it took."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from confluent_kafka import TopicPartition

from bench.support.cpu_meter import Meter
from processors import vms
from processors.engine.partition import Partition
from processors.engine.step import Join, Step
from processors.engine.worker import ProcessorSettings, Shell
from processors.registry import joined, mounted
from runtime import kafka
from runtime.topics import decoder
from schemas import catalog, codec

PARTITIONS = 4
TAKE, WITHIN_S, COMMIT_S = 100, 0.1, 0.5


def step(settings: ProcessorSettings, meter: Meter) -> None:
    """The pure step on decoded records: no codec, no Kafka."""
    decode = decoder(settings, "raw-libvirt").decode
    messages = kafka.read_all(settings, settings.catalog["raw-libvirt"].name)
    records = [decode(each.value()) for each in islice(messages, meter.total)]
    states: dict[str, Any] = {}
    for record in records:
        states[record["host"]], _ = vms.step(states.get(record["host"]), record)
        meter.add(1)
    meter.tell()


def bare(settings: ProcessorSettings, meter: Meter) -> None:
    """Consume, decode, step, encode, produce, wait for every delivery report, commit."""
    name, decode = settings.catalog["raw-libvirt"].name, decoder(settings, "raw-libvirt").decode
    partitions = {number: Partition(settings.catalog, [vms.STEP]) for number in range(PARTITIONS)}
    publisher = kafka.Publisher(settings, "bench")
    consumer = kafka.consumer(settings, settings.group)
    consumer.assign([TopicPartition(name, number, 0) for number in partitions])
    reached: dict[int, int] = {}
    committed_s = time.monotonic()
    done = False
    while not done:
        messages = consumer.consume(TAKE, timeout=WITHIN_S)
        for message in messages:
            for output in partitions[message.partition()].apply(decode(message.value())).outputs:
                publisher.send(settings.catalog[output.alias].name, output.key, output.value, wait_s=10)
            reached[message.partition()] = message.offset() + 1
        while publisher.outstanding:
            publisher.poll(0.001)
        if reached and time.monotonic() - committed_s > COMMIT_S:
            consumer.commit(offsets=[TopicPartition(name, *item) for item in reached.items()], asynchronous=True)
            committed_s = time.monotonic()
        done = meter.add(len(messages))
    meter.tell()
    consumer.close()


def faust(settings: ProcessorSettings, meter: Meter) -> None:
    """The worker as `rackstream processor` runs it, with this step alone."""
    _worker(settings, meter, [vms.STEP], [])


def whole(settings: ProcessorSettings, meter: Meter) -> None:
    """The same with every step and join."""
    _worker(settings, meter, mounted(), joined())


def _worker(settings: ProcessorSettings, meter: Meter, steps: Sequence[Step], joins: Sequence[Join]) -> None:
    import faust as library
    import uvloop

    from processors import app as worker

    logging.disable(logging.DEBUG)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    shell = Shell(settings, steps, joins)
    app = worker.build(settings, shell)
    stepped = shell.batch

    async def batch(alias: str, events: Any) -> None:
        await stepped(alias, events)
        if meter.add(len(events)):
            meter.tell()
            os._exit(0)

    shell.batch = batch  # type: ignore[method-assign]
    library.Worker(app, loop=loop, quiet=True, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def naive(settings: ProcessorSettings, meter: Meter, *, wait: bool = True) -> None:
    """A Faust agent as one writes it first: `events()` and `topic.send`, waiting for each event's deliveries."""
    import faust as library

    app = library.App(
        settings.group,
        broker=f"kafka://{settings.bootstrap}",
        datadir=settings.data_dir / f"naive-{os.getpid()}",
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=COMMIT_S,
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

    @app.agent(topics["raw-libvirt"])
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            record = decode(event.value)
            states[record["host"]], outputs = vms.step(states.get(record["host"]), record)
            sent = []
            for alias, output in outputs:
                topic = settings.catalog[alias]
                value = codec.encode(catalog.schema(topic.schema), output)
                sent.append(await topics[alias].send(key=topic.key_of(output), value=value))
            for each in sent if wait else ():
                await each
            if meter.add(1):
                meter.tell()
                os._exit(0)

    library.Worker(app, quiet=True, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def unsafe(settings: ProcessorSettings, meter: Meter) -> None:
    """The same without waiting: what is sent and not delivered at a crash is lost."""
    naive(settings, meter, wait=False)


CASES: dict[str, Callable[[ProcessorSettings, Meter], None]] = {
    each.__name__: each for each in (step, bare, faust, naive, unsafe, whole)
}
