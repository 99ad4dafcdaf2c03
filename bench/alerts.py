"""The alert engine's memory per host, its time per record, and how long a worker needs to have it all again.

The pure parts only: states as the worker holds them, and memory records as they lie on Kafka, encoded and decoded as
a restart does. Reading them from the broker comes on top; `bench/processors.py` starts real workers.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
import tracemalloc

from processors import alerts
from processors.drive import Partition
from schemas import catalog, codec
from schemas.testing import item, raw

HOT_SHARE = 50
"""One host of so many has an alert."""


def sample(host: int, poll: int, sensors: list[dict]) -> dict:
    hot = host % HOT_SHARE == 0
    readings = [each | {"reading_celsius": 95.0 if hot and n == 0 else 40.0} for n, each in enumerate(sensors)]
    name = f"node-{host:05}"
    return raw("RedfishSample", at_s=poll * 10, host=name, category="thermal", interval_s=10.0, temperatures=readings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--sensors", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="one JSON object last")
    options = parser.parse_args()
    sensors = [
        item(
            "RedfishTemperature", chassis_id="1", sensor_id=str(n), sensor_name=f"S{n}", upper_threshold_critical=100.0
        )
        for n in range(options.sensors)
    ]
    schema = catalog.schema("AlertState")
    step = alerts.step()
    partition = Partition(catalog.load(), [step])
    memories: dict[bytes, bytes] = {}
    spent_s = 0.0
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for host in range(options.hosts):
        for output in partition.apply(sample(host, 0, sensors)).outputs:
            if output.is_memory:
                memories[output.key] = output.value
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before - sum(map(len, memories.values()))
    tracemalloc.stop()
    records = [sample(host, 1, sensors) for host in range(min(options.hosts, 1000))]
    began_s = time.process_time()
    for record in records:
        partition.apply(record)
    spent_s = time.process_time() - began_s
    # The worst restart: every host has a memory record.
    value = next(iter(memories.values()))
    decoder, restored = codec.Decoder(schema), Partition(catalog.load(), [step])
    began_s = time.process_time()
    for host in range(options.hosts):
        restored.remember(step, decoder.decode(value) | {"host": f"node-{host:05}"})
    recovery_s = time.process_time() - began_s
    found = {
        "hosts": options.hosts,
        "sensors": options.sensors,
        "bytes_per_host": round(held / options.hosts),
        "memory_record_bytes": len(value),
        "step_us": round(spent_s / len(records) * 1e6),
        "recovery_s": round(recovery_s, 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(f"{options.hosts:,} hosts with {options.sensors} sensors, one of {HOT_SHARE} with an alert:")
    print(f"  memory per host           {found['bytes_per_host']:>8,} bytes")
    print(f"  one record of {options.sensors} sensors  {found['step_us']:>8,} µs CPU")
    print(f"  memory record on Kafka    {found['memory_record_bytes']:>8,} bytes, of a host with an alert")
    print(f"  restart, all hosts        {found['recovery_s']:>8} s CPU if every host has an alert")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
