"""Records of VMs as seed 003's cycles make them, and the topics of an embedded Kafka that are filled with them."""

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
from schemas.testing import item, raw
from sinks import datasets
from sinks.influx.line_protocol import Encoder, timestamp_ns

PARTITIONS, HOSTS, VMS = 4, 20, 10
ALIASES = ("raw-libvirt", "vm-totals", "vm-features")
NAMES = {"lines": "bench-lines"} | {alias: f"bench-json-{alias}" for alias in ALIASES}
"""Topics that only Telegraf reads."""
NIC = "rxbytes rxpackets rxerrors rxdrops txbytes txpackets txerrors txdrops"
DISK = "rd_req rd_bytes wr_reqs wr_bytes errors"


def counters(names: str, device: int, n: int) -> dict[str, int]:
    """Those of traffic move at their own pace; errors stand still."""
    return {
        name: 3 if name.endswith(("errors", "drops")) else (device * 7919 + 104729 * place) * (n + 1000)
        for place, name in enumerate(names.split(), 1)
    }


def sample(n: int, host: int) -> dict[str, Any]:
    """10 VMs with 2 NICs and 3 disks each."""
    domains = []
    for vm in range(VMS):
        busy = host * VMS + vm + 1
        nics = [item("DomainNic", device=f"one-{vm}-{at}", **counters(NIC, busy + at, n)) for at in range(2)]
        disks = [item("DomainDisk", device=f"vd{'abc'[at]}", **counters(DISK, busy + at, n)) for at in range(3)]
        cpu = {"cputime": busy * n * 10**6, "timeusr": busy * n * 10**5, "timesys": busy * n * 10**4, "cpus": 4}
        memory = {
            "memactual": 4194304,
            "memrss": 2000000 + busy % 5000 + n,
            "memusable": 3000000 - n,
            "memavailable": 4000000,
            "memory_max_kb": 4194304,
            "memory_used_kb": 3000000 + n,
            "memswap_in": n,
            "memswap_out": 0,
            "memmajor_fault": busy + n,
            "memminor_fault": busy * n,
            "memdisk_cache": 500000,
            "memlast_update": 1767225600 + n,
        }
        who = {"vmid": str(vm), "name": f"one-{vm}", "uuid": f"9b2b7f1a-0000-4000-8000-{host:06d}{vm:06d}"}
        domains.append(item("Domain", **who, **cpu, **memory, domain_id=vm, state=1, nics=nics, disks=disks))
    where = {"host": f"kvm-{host}", "category": "domains", "uri": "qemu:///system", "labels": {"rack": f"r{host % 4}"}}
    return raw("LibvirtSample", at_s=n, **where, domains=domains)


def cycles(count: int) -> Iterator[tuple[str, str, bytes]]:
    """Host, topic's alias and bytes of all records of `count` polls, in the order of their making."""
    partitions = {host: Partition(catalog.load(), [vms.STEP]) for host in range(HOSTS)}
    schema = catalog.schema("LibvirtSample")
    for n in range(count):
        for host, partition in partitions.items():
            value = codec.encode(schema, record := sample(n, host))
            yield f"kvm-{host}", "raw-libvirt", value
            for output in partition.apply(record).outputs:
                if output.alias in ALIASES:
                    yield f"kvm-{host}", output.alias, output.value


def empty(settings: KafkaSettings) -> None:
    """All topics of a prefix, without records."""
    topics.create(settings)
    topics.publish_schemas(settings)
    admin = kafka.admin(settings)
    wide = {"max.message.bytes": "8388608"}
    made = admin.create_topics(
        [NewTopic(f"{settings.topic_prefix}{name}", PARTITIONS, 1, config=wide) for name in NAMES.values()]
    )
    for each in made.values():
        each.result(30)


def _plain(value: object) -> object:
    return timestamp_ns(value) if isinstance(value, datetime) else str(value)


def fill(settings: KafkaSettings, count: int, *, all_inputs: bool = True) -> tuple[int, int]:
    """Puts `count` polls on the topics, and what Telegraf reads; returns how many records and lines."""
    publisher = kafka.Publisher(settings, "bench")
    encoders = {alias: [(each, Encoder(each)) for each in datasets.of(alias)] for alias in ALIASES}
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    records = lines = 0
    for host, alias, value in cycles(count):
        record = decode[alias](value)
        own = [line for dataset, write in encoders[alias] for row in dataset.rows(record) if (line := write(row))]
        publisher.send(settings.catalog[alias].name, host.encode(), value, wait_s=30)
        if all_inputs:
            text = json.dumps(record, default=_plain).encode()
            publisher.send(settings.topic_prefix + NAMES["lines"], host.encode(), b"\n".join(own), wait_s=30)
            publisher.send(settings.topic_prefix + NAMES[alias], host.encode(), text, wait_s=30)
        records, lines = records + 1, lines + len(own)
    assert publisher.flush(60) == 0
    return records, lines
