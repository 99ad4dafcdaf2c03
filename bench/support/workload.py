"""Workload of the sink benchmark: records of VMs like those of the scripting API, and the topics they fill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from confluent_kafka.admin import NewTopic

from processors import vms
from processors.engine.partition import Partition
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record
from sinks import datasets
from sinks.influx.line_protocol import LineEncoder, timestamp_ns

PARTITIONS, HOSTS, VMS = 4, 20, 10
ALIASES = ("raw-libvirt", "vm-totals", "vm-features")
TELEGRAF_TOPICS = {"lines": "bench-lines"} | {alias: f"bench-json-{alias}" for alias in ALIASES}
"""Topics that only Telegraf reads, by alias of the source or `lines`."""
NIC = "rxbytes rxpackets rxerrors rxdrops txbytes txpackets txerrors txdrops"
DISK = "rd_req rd_bytes wr_reqs wr_bytes errors"


def counters(names: str, device: int, n: int) -> dict[str, int]:
    """Returns counters of a device: traffic grows at its own rate, errors are constant."""
    return {
        name: 3 if name.endswith(("errors", "drops")) else (device * 7919 + 104729 * place) * (n + 1000)
        for place, name in enumerate(names.split(), 1)
    }


def sample(n: int, host: int) -> dict[str, Any]:
    """Returns the record of one poll of a host: 10 VMs with 2 NICs and 3 disks each."""
    domains = []
    for vm in range(VMS):
        factor = host * VMS + vm + 1
        nics = [make_record("DomainNic", device=f"one-{vm}-{at}", **counters(NIC, factor + at, n)) for at in range(2)]
        disks = [
            make_record("DomainDisk", device=f"vd{'abc'[at]}", **counters(DISK, factor + at, n)) for at in range(3)
        ]
        cpu = {"cputime": factor * n * 10**6, "timeusr": factor * n * 10**5, "timesys": factor * n * 10**4, "cpus": 4}
        memory = {
            "memactual": 4194304,
            "memrss": 2000000 + factor % 5000 + n,
            "memusable": 3000000 - n,
            "memavailable": 4000000,
            "memory_max_kb": 4194304,
            "memory_used_kb": 3000000 + n,
            "memswap_in": n,
            "memswap_out": 0,
            "memmajor_fault": factor + n,
            "memminor_fault": factor * n,
            "memdisk_cache": 500000,
            "memlast_update": 1767225600 + n,
        }
        identity = {"vmid": str(vm), "name": f"one-{vm}", "uuid": f"9b2b7f1a-0000-4000-8000-{host:06d}{vm:06d}"}
        domains.append(
            make_record("Domain", **identity, **cpu, **memory, domain_id=vm, state=1, nics=nics, disks=disks)
        )
    header = {"host": f"kvm-{host}", "category": "domains", "uri": "qemu:///system", "labels": {"rack": f"r{host % 4}"}}
    return make_raw_record("LibvirtSample", at_s=n, **header, domains=domains)


def poll_records(count: int) -> Iterator[tuple[str, str, bytes]]:
    """Yields host, topic alias and encoded value of all records of `count` polls, in order."""
    partitions = {host: Partition(catalog.load(), [vms.STEP]) for host in range(HOSTS)}
    schema = catalog.schema("LibvirtSample")
    for n in range(count):
        for host, partition in partitions.items():
            value = codec.encode(schema, record := sample(n, host))
            yield f"kvm-{host}", "raw-libvirt", value
            for output in partition.apply(record).outputs:
                if output.alias in ALIASES:
                    yield f"kvm-{host}", output.alias, output.value


def create_topics(settings: KafkaSettings) -> None:
    """Creates all topics of a prefix."""
    topics.create(settings)
    topics.publish_schemas(settings)
    admin = kafka.create_admin_client(settings)
    config = {"max.message.bytes": "8388608"}
    futures = admin.create_topics(
        [NewTopic(f"{settings.topic_prefix}{name}", PARTITIONS, 1, config=config) for name in TELEGRAF_TOPICS.values()]
    )
    for future in futures.values():
        future.result(30)


def _plain(value: object) -> object:
    return timestamp_ns(value) if isinstance(value, datetime) else str(value)


def fill(settings: KafkaSettings, count: int, *, all_inputs: bool = True) -> tuple[int, int]:
    """Fills the topics with `count` polls, including those for Telegraf; returns the numbers of records and lines."""
    publisher = kafka.KafkaPublisher(settings, "bench")
    encoders = {alias: [(dataset, LineEncoder(dataset)) for dataset in datasets.for_topic(alias)] for alias in ALIASES}
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    records = lines = 0
    for host, alias, value in poll_records(count):
        record = decode[alias](value)
        record_lines = [
            line for dataset, write in encoders[alias] for row in dataset.rows(record) if (line := write(row))
        ]
        publisher.send(settings.catalog[alias].name, host.encode(), value, wait_s=30)
        if all_inputs:
            text = json.dumps(record, default=_plain).encode()
            publisher.send(
                settings.topic_prefix + TELEGRAF_TOPICS["lines"], host.encode(), b"\n".join(record_lines), wait_s=30
            )
            publisher.send(settings.topic_prefix + TELEGRAF_TOPICS[alias], host.encode(), text, wait_s=30)
        records, lines = records + 1, lines + len(record_lines)
    assert publisher.flush(60) == 0
    return records, lines
