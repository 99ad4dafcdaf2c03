"""What InfluxDB holds against the records of the topics: a point per line, by measurement, tags and time, by value."""

from __future__ import annotations

from rackstream.audit.counters import Facts, Tally
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from sinks import datasets
from sinks.influx import points
from sinks.influx.setup import Server
from sinks.influx.sink import Lines
from sinks.settings import InfluxSettings
from sinks.sink import Item


def recount(settings: KafkaSettings) -> Tally:
    """Compares with the InfluxDB of the environment."""
    total, lines, where = Tally(), Lines(), InfluxSettings.read()
    server = Server(where)
    with Facts() as facts:
        times: dict[str, list[int]] = {}
        for alias in datasets.aliases():
            name, decode = settings.catalog[alias].name, decoder(settings, alias).decode
            for message in kafka.read_all(settings, name):
                if not message.value():
                    continue
                item = Item(alias, (name, message.partition()), message.offset(), decode(message.value()))
                for point in map(points.parse, lines(item)):
                    facts.expect(point.measurement, (point.tags, point.at_ns), point.fields)
                    span = times.setdefault(point.measurement, [point.at_ns, point.at_ns])
                    span[:] = min(span[0], point.at_ns), max(span[1], point.at_ns)
        for measurement, (first, last) in times.items():
            for point in points.stored(server, where.database, measurement, first, last + 1):
                facts.find(measurement, (point.tags, point.at_ns), point.fields)
        for dataset in datasets.ALL:
            compacted = "compact" in settings.catalog[dataset.alias].cleanup
            tally = facts.tally(dataset.name, complete=not compacted)
            total.lost += tally.lost
            total.twice += tally.twice
            total.wrong += tally.wrong
            total.invented += tally.invented
            total.examples += [f"{dataset.name} {example}" for example in tally.examples]
    return total
