"""Example application with the app SDK: reports an event every 20 ms, and a metric with every tenth, until SIGTERM."""

import signal
import threading

from producers.app import TelemetryCollector, TelemetryConfig
from producers.app.kafka import KafkaStorage
from runtime.observability import notify


def main() -> None:
    """Runs until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    storage = KafkaStorage("shop")
    number = 0
    with TelemetryCollector(TelemetryConfig(buffer_size=10, flush_interval=1), storage=storage) as collector:
        notify("READY=1")
        while not stop.wait(0.02):
            collector.collect_event("order", f"order {number}")
            if number % 10 == 0:
                collector.collect_metric("open_orders", number % 7)
            number += 1
    storage.close()


if __name__ == "__main__":
    main()
