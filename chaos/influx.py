"""What InfluxDB holds against the records of the topics: a point per row with fields, by measurement, tags, time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from chaos.stage import DATABASE
from rackstream.recount import Facts, Tally
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from sinks import datasets
from sinks.line import Encoder, timestamp_ns
from tests.e2e.influxdb import Influx

SPAN: Final = timedelta(minutes=1)
"""Read at a time."""


def recount(settings: KafkaSettings, server: Influx) -> Tally:
    """Compares; a value is not looked at, only that the point is there."""
    total = Tally()
    with Facts() as facts:
        times: dict[str, list[int]] = {}
        for alias in datasets.aliases():
            topic = settings.catalog[alias]
            decode = decoder(settings, alias).decode
            encoders = {dataset.name: Encoder(dataset) for dataset in datasets.of(alias)}
            for message in kafka.read_all(settings, topic.name):
                record = decode(message.value()) if message.value() else None
                if record is None:
                    continue
                for dataset in datasets.of(alias):
                    for row in dataset.rows(record):
                        if not encoders[dataset.name](row):
                            continue
                        at = timestamp_ns(row[0])
                        tags = {column.name: row[number] for number, column in enumerate(dataset.tags, 1)}
                        tags |= {f"label_{name}": value for name, value in row[-1].items()}
                        facts.expect(dataset.name, _identity(tags, at), None)
                        span = times.setdefault(dataset.name, [at, at])
                        span[:] = min(span[0], at), max(span[1], at)
        for name, (first, last) in times.items():
            for identity in _points(server, name, first, last):
                facts.find(name, identity, None)
        for dataset in datasets.ALL:
            compacted = "compact" in settings.catalog[dataset.alias].cleanup
            tally = facts.tally(dataset.name, complete=not compacted)
            total.lost += tally.lost
            total.twice += tally.twice
            total.invented += tally.invented
            total.examples += [f"{dataset.name} {example}" for example in tally.examples]
    return total


def _identity(tags: dict[str, Any], at_ns: int) -> tuple[Any, ...]:
    return (*sorted((name, str(value)) for name, value in tags.items() if value not in (None, "")), at_ns)


def _points(server: Influx, name: str, first_ns: int, last_ns: int) -> Iterator[tuple[Any, ...]]:
    step = SPAN // timedelta(microseconds=1) * 1000
    for begin in range(first_ns, last_ns + 1, step):
        within = f"time >= {begin} AND time < {min(begin + step, last_ns + 1)}"
        for series in server.series(f'SELECT * FROM "{name}" WHERE {within} GROUP BY *', DATABASE):
            for values in series["values"]:
                yield _identity(series.get("tags", {}), values[0])
