"""Events, metrics and execution statistics on Kafka, from where every sink of Rackstream stores them.

Run it with `KAFKA_BOOTSTRAP_SERVERS=localhost:9092 python examples/kafka_events.py`.
"""

from producers.app import EventType, TelemetryCollector
from producers.app.storage import KafkaStorage
from producers.execution import TelemetryCollector as ExecutionCollector


def report(storage: KafkaStorage) -> None:
    """Reports an order and how the commands of this process went."""
    commands = ExecutionCollector()
    with TelemetryCollector(storage=storage) as collector:
        with commands.recording(), collector.timed("order"):
            collector.collect_event("shop", "order placed", EventType.INFO, {"order": 17, "items": ["cup", "pot"]})
        commands.publish(storage)


if __name__ == "__main__":
    report(KafkaStorage("shop"))
