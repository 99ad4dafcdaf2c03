"""Compares the points in InfluxDB with the records on the topics, by measurement, tags, time and values."""

from __future__ import annotations

from rackstream.audit.counters import FactSets, Reconciliation
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from sinks import datasets
from sinks.influx import points
from sinks.influx.setup import InfluxServer
from sinks.influx.sink import RecordLines
from sinks.settings import InfluxSettings
from sinks.sink import Item


def reconcile(settings: KafkaSettings) -> Reconciliation:
    """Compares the InfluxDB configured in the environment; returns the differences of all datasets."""
    total, lines, influx_settings = Reconciliation(), RecordLines(), InfluxSettings.read()
    server = InfluxServer(influx_settings)
    with FactSets() as facts:
        times: dict[str, list[int]] = {}
        for alias in datasets.aliases():
            name, decode = settings.catalog[alias].name, decoder(settings, alias).decode
            for message in kafka.read_all(settings, name):
                if not message.value():
                    continue
                item = Item(alias, (name, message.partition()), message.offset(), decode(message.value()))
                for point in map(points.parse_line, lines(item)):
                    facts.expect(point.measurement, (point.tags, point.at_ns), point.fields)
                    first_and_last = times.setdefault(point.measurement, [point.at_ns, point.at_ns])
                    first_and_last[:] = min(first_and_last[0], point.at_ns), max(first_and_last[1], point.at_ns)
        for measurement, (first, last) in times.items():
            for point in points.stored_points(server, influx_settings.database, measurement, first, last + 1):
                facts.add_found(measurement, (point.tags, point.at_ns), point.fields)
        for dataset in datasets.ALL:
            compacted = "compact" in settings.catalog[dataset.alias].cleanup
            differences = facts.reconcile(dataset.name, complete=not compacted)
            total.lost += differences.lost
            total.twice += differences.twice
            total.wrong += differences.wrong
            total.invented += differences.invented
            total.examples += [f"{dataset.name} {example}" for example in differences.examples]
    return total
