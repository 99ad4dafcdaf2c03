"""A node for libvirt's test driver (`test:///<absolute path>`): running domains without a hypervisor. Pure."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

VMS_MAX: Final = 256**2
"""A domain's number is two bytes of its MACs, a NIC's number one."""
NICS_MAX: Final = 256
DISKS_MAX: Final = 26
"""vda … vdz."""
PROCESSORS: Final = {"mhz": 2400, "model": "x86_64", "active": 64, "nodes": 2, "sockets": 1, "cores": 16, "threads": 2}
NODE_MEMORY_KIB: Final = 1024 * 1024 * 1024


def node(vms: int, *, nics: int = 2, disks: int = 3, name: str = "one-{n}", host: str = "node") -> str:
    """The XML of a node with domains named `name`, `{n}` = 0, 1, …; equal arguments give equal XML.

    `host` tells simulated hosts apart: the UUIDs of two hosts' domains differ.

    Raises:
        ValueError: too many of something, or a name that two domains would share.
    """
    if not (0 <= vms <= VMS_MAX and 0 <= nics <= NICS_MAX and 0 <= disks <= DISKS_MAX):
        raise ValueError(f"at most {VMS_MAX} domains with {NICS_MAX} NICs and {DISKS_MAX} disks each")
    names = [name.format(n=n) for n in range(vms)]
    if len(set(names)) < vms:
        raise ValueError(f"the name {name!r} is the same for several domains: it needs {{n}}")
    root = ET.Element("node")
    cpu = ET.SubElement(root, "cpu")
    for key, value in PROCESSORS.items():
        _text(cpu, key, value)
    _text(root, "memory", NODE_MEMORY_KIB)
    for n, each in enumerate(names):
        domain = ET.SubElement(root, "domain", type="test")
        _text(domain, "name", each)
        _text(domain, "uuid", uuid5(NAMESPACE_URL, f"rackstream:{host}/{each}"))
        _hardware(domain, n, nics, disks)
    return ET.tostring(root, encoding="unicode")


def _hardware(domain: ET.Element, n: int, nics: int, disks: int) -> None:
    _text(domain, "memory", 4096, unit="MiB")
    _text(domain, "currentMemory", 2048, unit="MiB")
    _text(domain, "vcpu", 4)
    _text(ET.SubElement(domain, "os"), "type", "hvm")
    devices = ET.SubElement(domain, "devices")
    for k in range(disks):
        disk = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(disk, "source", file=f"/guest/{n}-{k}.img")
        ET.SubElement(disk, "target", dev=f"vd{chr(ord('a') + k)}", bus="virtio")
    for k in range(nics):
        nic = ET.SubElement(devices, "interface", type="ethernet")
        ET.SubElement(nic, "mac", address=f"52:54:00:{n >> 8:02x}:{n & 255:02x}:{k:02x}")
        ET.SubElement(nic, "target", dev=f"tap{n}.{k}")
    ET.SubElement(devices, "memballoon", model="virtio")


def _text(parent: ET.Element, tag: str, value: object, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = str(value)
