"""The VM step as a Quix Streams application, started by `peer_frameworks.quix` with the Python of `scripts/get-quix`.

Step and codec are ours, as in the case `bare`. State is a dict, without a store or changelog, the cheapest option of
Quix Streams. Our requirements come last on the path, so that Quix Streams uses its own versions of shared packages.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

sys.path += os.environ["RACKSTREAM_BENCH_PATH"].split(os.pathsep)

from quixstreams import Application

from bench.support.cpu_meter import CpuMeter
from processors import vms
from schemas import catalog, codec
from schemas.records import LibvirtSample


def main(bootstrap: str, group: str, data: str, source: str, prefix: str, records: int) -> None:
    """Processes the records and prints the CPU time of the last four fifths."""
    meter = CpuMeter(records)
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
        record = cast("LibvirtSample", decode(value))
        states[record["host"]], outputs = vms.step(states.get(record["host"]), record)
        if meter.add(1):
            meter.report()
            app.stop()
        return [(alias, codec.encode(schemas[alias], output)) for alias, output in outputs]

    raw = app.topic(source, key_deserializer="bytes", value_deserializer="bytes")
    outputs_stream = app.dataframe(raw).apply(step, expand=True)
    for alias in schemas:
        topic = app.topic(prefix + alias, key_serializer="bytes", value_serializer="bytes")
        selected = outputs_stream.filter(lambda output, alias=alias: output[0] == alias)
        selected.apply(lambda output: output[1]).to_topic(topic)
    app.run()


if __name__ == "__main__":
    bootstrap_, group_, data_, source_, prefix_, records_ = sys.argv[1:]
    main(bootstrap_, group_, data_, source_, prefix_, int(records_))
