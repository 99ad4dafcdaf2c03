"""The records that benches feed in: a fleet of hypervisors with 20 VMs each, and BMCs with sensors."""

from __future__ import annotations

from typing import Any

from schemas import catalog, codec
from schemas.catalog import Catalog
from schemas.testing import item, raw

HOSTS, VMS = 50, 20
TEMPERATURE = item("RedfishTemperature", chassis_id="1", upper_threshold_critical=100.0, state="Enabled", health="OK")


class Hypervisor:
    """20 VMs with a NIC and a disk each, whose counters differ, and mostly move."""

    def __init__(self, number: int) -> None:
        self.name = f"kvm-{number}"
        self._record = raw("LibvirtSample", host=self.name, category="domains", uri="qemu:///system")
        self._vms = [
            item(
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
        self._nic = item("DomainNic", rxerrors=0, rxdrops=0, txerrors=0, txdrops=0)
        self._disk = item("DomainDisk", device="vda")
        self._first = (number * VMS + 1) * 7919

    def sample(self, n: int) -> dict[str, Any]:
        """The n-th poll, one per 10 s."""
        domains = []
        for vm, domain in enumerate(self._vms):
            busy = self._first + vm * 7919
            moved = busy * n
            nic = self._nic | {
                "device": f"vnet{vm}",
                "rxbytes": moved * 93,
                "rxpackets": moved,
                "txbytes": moved * 31,
                "txpackets": moved,
            }
            disk = self._disk | {"rd_req": n, "rd_bytes": n * 4096 * vm, "wr_reqs": moved, "wr_bytes": moved * 512}
            cpu = {"cputime": moved * 10**6, "timeusr": moved * 10**5, "timesys": moved * 10**4}
            memory = {"memrss": 2000000 + busy % 5000 + n, "memusable": 3000000 - n}
            domains.append(domain | cpu | memory | {"nics": [nic], "disks": [disk]})
        return self._record | {"sequence": n, "monotonic_s": 1000.0 + 10 * n, "domains": domains}


def thermal(host: str, n: int, celsius: list[float]) -> dict[str, Any]:
    """The n-th poll of a BMC with so many sensors, whose limit is 100 °C."""
    sensors = [
        TEMPERATURE | {"sensor_id": str(at), "sensor_name": f"Sensor {at}", "reading_celsius": each}
        for at, each in enumerate(celsius)
    ]
    return raw("RedfishSample", at_s=n, host=host, category="thermal", temperatures=sensors)


def wire(topics: Catalog, alias: str, record: dict[str, Any]) -> tuple[str, bytes, bytes]:
    """(topic, key, value) of a record."""
    topic = topics[alias]
    return topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record)
