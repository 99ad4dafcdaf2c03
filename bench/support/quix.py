"""The VM step in a Quix Streams application. Run by the Python of `scripts/get-quix`; `peers.quix` gives the arguments.

The step and the codec are ours, as in `bare`. State is a dict, without a store or its changelog, which is the cheapest
that Quix Streams can do. Our own requirements come last on the path, so that its own versions of all it needs win.
"""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path += os.environ["RACKSTREAM_BENCH_PATH"].split(os.pathsep)

from quixstreams import Application

from bench.support.cpu_meter import Meter
from processors import vms
from schemas import catalog, codec


def main(bootstrap: str, group: str, data: str, source: str, prefix: str, records: int) -> None:
    """Steps the records, and prints what the last four fifths took."""
    meter = Meter(records)
    app = Application(
        broker_address=bootstrap,
        consumer_group=group,
        state_dir=data,
        auto_offset_reset="earliest",
        commit_interval=0.5,
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
        producer_extra_config={"compression.type": "zstd", "linger.ms": 5, "partitioner": "murmur2_random"},
    )
    decode = codec.Decoder(catalog.schema("LibvirtSample")).decode
    schemas = {alias: catalog.schema(catalog.load()[alias].schema) for alias in vms.STEP.outputs}
    states: dict[str, Any] = {}

    def step(value: bytes) -> list[tuple[str, bytes]]:
        record = decode(value)
        states[record["host"]], outputs = vms.step(states.get(record["host"]), record)
        if meter.add(1):
            meter.tell()
            app.stop()
        return [(alias, codec.encode(schemas[alias], output)) for alias, output in outputs]

    raw = app.topic(source, key_deserializer="bytes", value_deserializer="bytes")
    stepped = app.dataframe(raw).apply(step, expand=True)
    for schema in schemas:
        topic = app.topic(prefix + schema, key_serializer="bytes", value_serializer="bytes")
        mine = stepped.filter(lambda output, alias=schema: output[0] == alias)
        mine.apply(lambda output: output[1]).to_topic(topic)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:6], int(sys.argv[6]))
