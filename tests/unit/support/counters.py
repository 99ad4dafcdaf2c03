"""What a counter of Prometheus has counted so far."""

from __future__ import annotations

from prometheus_client import Counter


def counted(counter: Counter) -> float:
    [metric] = counter.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_total"))
