"""Prints topics and their records."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
from confluent_kafka import KafkaError, Message, TopicPartition

from rackstream.text.alert_text import sentence
from rackstream.text.sanitize import printable
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import catalog, codec


def plain(value: Any) -> Any:
    """A value JSON can hold: times as ISO text, bytes as base64, NaN as null."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124  NaN
        return None
    return value


def print_topics(settings: KafkaSettings, *, as_json: bool) -> None:
    """One line per topic of the catalogue: partitions, records now on it, what it is."""
    rows = []
    for topic in settings.catalog.topics.values():
        spans = kafka.watermarks(settings, topic.name)
        records = sum(end - first for first, end in spans.values())
        rows.append({"topic": topic.name, "partitions": len(spans), "records": records, "what": topic.doc})
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    click.echo(f"{'topic':30} {'partitions':>10} {'records':>12}  what")
    for row in rows:
        click.echo(f"{row['topic']:30} {row['partitions']:>10} {row['records']:>12}  {row['what']}")


def tail(
    settings: KafkaSettings, name: str, *, last: int, follow: bool, as_json: bool, stopping: Callable[[], bool]
) -> None:
    """Prints the last records of a topic in order of arrival, then those that come.

    Raises:
        Misconfigured: there is no such topic; the message lists those there are.
    """
    try:
        topic = settings.catalog.named(name)
    except KeyError as error:
        raise Misconfigured(error.args[0]) from None
    spans = kafka.watermarks(settings, topic.name)
    begin = {number: (max(first, end - last), end) for number, (first, end) in spans.items()}
    decode = _decode(settings, topic)
    old = sorted(kafka.read(settings, topic.name, begin), key=lambda message: message.timestamp()[1])
    for message in old[-last:] if last else []:
        _print(message, decode, as_json=as_json)
    if follow:
        for message in following(settings, topic.name, {number: end for number, (_, end) in spans.items()}, stopping):
            _print(message, decode, as_json=as_json)


def _decode(settings: KafkaSettings, topic: catalog.Topic) -> Callable[[bytes], Any]:
    return json.loads if topic.schema == "json" else decoder(settings, topic.alias).decode


def following(
    settings: KafkaSettings, name: str, starts: dict[int, int], stopping: Callable[[], bool]
) -> Iterator[Message]:
    """The messages of a topic from these offsets on, as they come."""
    reader = kafka.consumer(settings, "rackstream-tail", **{"fetch.wait.max.ms": 100})
    try:
        reader.assign([TopicPartition(name, number, offset) for number, offset in starts.items()])
        while not stopping():
            message = reader.poll(0.3)
            if message is None:
                continue
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  librdkafka's name of it
                time.sleep(0.3)
    finally:
        reader.close()


def _print(message: Message, decode: Callable[[bytes], Any], *, as_json: bool) -> None:
    value = message.value()
    try:
        record = decode(value) if value else None
    except (codec.Undecodable, ValueError) as error:
        click.echo(f"{_at(message)} partition {message.partition()} offset {message.offset()}: {error}", err=True)
        return
    text = json.dumps(plain(record), ensure_ascii=False, separators=(",", ":"))
    if as_json:
        click.echo(text)
    else:
        key = (message.key() or b"").decode(errors="replace")
        click.echo(f"{_at(message)} {printable(key)} {printable(_summary(record) or text)}")


def _at(message: Message) -> str:
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _summary(record: Any) -> str | None:
    """Alerts as a sentence; other records are shown whole."""
    if isinstance(record, dict) and "transition" in record:
        cause = f" ({record['cause']})" if record["cause"] else ""
        what = f"{record['transition']}{cause} {record['severity']} {record['rule']}"
        return f"{what}: {sentence(record)}  id {record['id']}"
    return None
