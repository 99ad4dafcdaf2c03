"""Lists topics, and prints or follows their records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import cast

from confluent_kafka import KafkaError, Message, TopicPartition

from rackstream.text.alert_text import alert_sentence
from rackstream.text.json import jsonable
from rackstream.text.sanitize import echo, json_text, printable
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import catalog, codec
from schemas.records import Alert
from sinks.sink import AnyRecord


def print_topics(settings: KafkaSettings, *, as_json: bool) -> None:
    """Prints a line per topic of the catalogue: partitions, records, description."""
    rows = []
    for topic in settings.catalog.topics.values():
        spans = kafka.watermarks(settings, topic.name)
        records = sum(end - first for first, end in spans.values())
        rows.append({"topic": topic.name, "partitions": len(spans), "records": records, "what": topic.doc})
    if as_json:
        echo(json_text(rows))
        return
    echo(f"{'topic':30} {'partitions':>10} {'records':>12}  description")
    for row in rows:
        echo(f"{row['topic']:30} {row['partitions']:>10} {row['records']:>12}  {row['what']}")


def print_records(
    settings: KafkaSettings, name: str, *, last: int, follow: bool, as_json: bool, stopping: Callable[[], bool]
) -> None:
    """Prints the last records of a topic in order of arrival, then new ones as they arrive.

    Raises:
        Misconfigured: There is no such topic; the message lists the topics.
    """
    try:
        topic = settings.catalog.find(name)
    except KeyError as error:
        raise Misconfigured(error.args[0]) from None
    spans = kafka.watermarks(settings, topic.name)
    spans_to_read = {number: (max(first, end - last), end) for number, (first, end) in spans.items()}
    decode = _value_decoder(settings, topic)
    old = sorted(kafka.read_ranges(settings, topic.name, spans_to_read), key=lambda message: message.timestamp()[1])
    for message in old[-last:] if last else []:
        _print(message, decode, as_json=as_json)
    if follow:
        for message in follow_messages(
            settings, topic.name, {number: end for number, (_, end) in spans.items()}, stopping
        ):
            _print(message, decode, as_json=as_json)


def _value_decoder(settings: KafkaSettings, topic: catalog.Topic) -> Callable[[bytes], AnyRecord]:
    return json.loads if topic.schema == "json" else decoder(settings, topic.alias).decode


def follow_messages(
    settings: KafkaSettings, name: str, starts: dict[int, int], stopping: Callable[[], bool]
) -> Iterator[Message]:
    """Yields the messages of a topic from the given offsets on, until `stopping`."""
    reader = kafka.create_consumer(settings, "rackstream-tail", **{"fetch.wait.max.ms": 100})
    try:
        reader.assign([TopicPartition(name, number, offset) for number, offset in starts.items()])
        while not stopping():
            message = reader.poll(0.3)
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  named so by librdkafka
                time.sleep(0.3)
    finally:
        reader.close()


def _print(message: Message, decode: Callable[[bytes], AnyRecord], *, as_json: bool) -> None:
    value = message.value()
    try:
        record = decode(value) if value else None
    except (codec.DecodeError, ValueError, RecursionError) as error:
        echo(f"{_timestamp(message)} partition {message.partition()} offset {message.offset()}: {error}", err=True)
        return
    text = json_text(jsonable(record), separators=(",", ":"))
    if as_json:
        echo(text)
    else:
        key = (message.key() or b"").decode(errors="replace")
        echo(f"{_timestamp(message)} {printable(key)} {printable(_summary(record) or text)}")


def _timestamp(message: Message) -> str:
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _summary(record: AnyRecord | None) -> str | None:
    """Formats an alert transition as a sentence. None for any other record."""
    if record is None or "transition" not in record:
        return None
    alert = cast("Alert", record)
    cause = f" ({alert['cause']})" if alert["cause"] else ""
    transition = f"{alert['transition']}{cause} {alert['severity']} {alert['rule']}"
    return f"{transition}: {alert_sentence(alert)}  id {alert['id']}"
