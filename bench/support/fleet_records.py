"""Records for benchmarks: hypervisors with 20 VMs each, and BMCs with temperature sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas import catalog, codec
from schemas.catalog import Catalog
from schemas.testing import make_raw_record, make_record

HOSTS, VMS = 50, 20
TEMPERATURE = make_record(
    "RedfishTemperature", chassis_id="1", upper_threshold_critical=100.0, state="Enabled", health="OK"
)


class Hypervisor:
    """A hypervisor with 20 VMs, each with a NIC and a disk; counters differ, and most of them grow."""

    def __init__(self, number: int) -> None:
        self.name = f"kvm-{number}"
        self._record = make_raw_record("LibvirtSample", host=self.name, category="domains", uri="qemu:///system")
        self._vms = [
            make_record(
                "Domain",
                vmid=str(vm),
                name=f"one-{vm}",
                uuid=f"9b2b7f1a-0000-4000-8000-{number:06d}{vm:06d}",
                domain_id=vm,
                cpus=4,
                state=1,
                memactual=4194304,
                memory_used_kb=4194304,
                memswap_in=0,
            )
            for vm in range(VMS)
        ]
        self._nic = make_record("DomainNic", rxerrors=0, rxdrops=0, txerrors=0, txdrops=0)
        self._disk = make_record("DomainDisk", device="vda")
        self._first = (number * VMS + 1) * 7919

    def sample(self, n: int) -> dict[str, Any]:
        """Returns the record of the n-th poll; polls are 10 s apart."""
        domains = []
        for vm, domain in enumerate(self._vms):
            rate = self._first + vm * 7919
            counter = rate * n
            nic = self._nic | {
                "device": f"vnet{vm}",
                "rxbytes": counter * 93,
                "rxpackets": counter,
                "txbytes": counter * 31,
                "txpackets": counter,
            }
            disk = self._disk | {"rd_req": n, "rd_bytes": n * 4096 * vm, "wr_reqs": counter, "wr_bytes": counter * 512}
            cpu = {"cputime": counter * 10**6, "timeusr": counter * 10**5, "timesys": counter * 10**4}
            memory = {"memrss": 2000000 + rate % 5000 + n, "memusable": 3000000 - n}
            domains.append(domain | cpu | memory | {"nics": [nic], "disks": [disk]})
        return self._record | {"sequence": n, "monotonic_s": 1000.0 + 10 * n, "domains": domains}


def thermal(host: str, n: int, celsius: list[float]) -> dict[str, Any]:
    """Returns the record of the n-th poll of a BMC with these temperatures, whose limit is 100 °C."""
    sensors = [
        TEMPERATURE | {"sensor_id": str(at), "sensor_name": f"Sensor {at}", "reading_celsius": reading}
        for at, reading in enumerate(celsius)
    ]
    return make_raw_record("RedfishSample", at_s=n, host=host, category="thermal", temperatures=sensors)


def encode_for_kafka(topics: Catalog, alias: str, record: Mapping[str, object]) -> tuple[str, bytes, bytes]:
    """Returns topic, key and value of a record."""
    topic = topics[alias]
    return topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record)
