"""Writes XML for libvirt's test driver (`test:///<absolute path>`): running domains without a hypervisor. Pure."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

MAX_VMS: Final = 256**2
"""The number of a domain takes two bytes of its MAC addresses, that of a NIC one."""
MAX_NICS: Final = 256
MAX_DISKS: Final = 26
"""vda … vdz."""
NODE_CPU: Final = {"mhz": 2400, "model": "x86_64", "active": 64, "nodes": 2, "sockets": 1, "cores": 16, "threads": 2}
NODE_MEMORY_KIB: Final = 1024 * 1024 * 1024


def node_xml(vms: int, *, nics: int = 2, disks: int = 3, name: str = "one-{n}", host: str = "node") -> str:
    """Returns the XML of a node with running domains; equal arguments give equal XML.

    Args:
        vms: Number of domains.
        nics: NICs of each domain.
        disks: Disks of each domain.
        name: Name of the domains, where `{n}` is 0, 1, ….
        host: Name of the node, so that the UUIDs of two nodes' domains differ.

    Raises:
        ValueError: A number is too large, or two domains would have the same name.
    """
    if not (0 <= vms <= MAX_VMS and 0 <= nics <= MAX_NICS and 0 <= disks <= MAX_DISKS):
        raise ValueError(f"at most {MAX_VMS} domains with {MAX_NICS} NICs and {MAX_DISKS} disks each")
    names = [name.format(n=number) for number in range(vms)]
    if len(set(names)) < vms:
        raise ValueError(f"the name {name!r} is the same for several domains: it needs {{n}}")
    root = ET.Element("node")
    cpu = ET.SubElement(root, "cpu")
    for key, value in NODE_CPU.items():
        _add_text(cpu, key, value)
    _add_text(root, "memory", NODE_MEMORY_KIB)
    for number, domain_name in enumerate(names):
        domain = ET.SubElement(root, "domain", type="test")
        _add_text(domain, "name", domain_name)
        _add_text(domain, "uuid", uuid5(NAMESPACE_URL, f"rackstream:{host}/{domain_name}"))
        _add_hardware(domain, number, nics, disks)
    return ET.tostring(root, encoding="unicode")


def _add_hardware(domain: ET.Element, number: int, nics: int, disks: int) -> None:
    _add_text(domain, "memory", 4096, unit="MiB")
    _add_text(domain, "currentMemory", 2048, unit="MiB")
    _add_text(domain, "vcpu", 4)
    _add_text(ET.SubElement(domain, "os"), "type", "hvm")
    devices = ET.SubElement(domain, "devices")
    for index in range(disks):
        disk = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(disk, "source", file=f"/guest/{number}-{index}.img")
        ET.SubElement(disk, "target", dev=f"vd{chr(ord('a') + index)}", bus="virtio")
    for index in range(nics):
        nic = ET.SubElement(devices, "interface", type="ethernet")
        ET.SubElement(nic, "mac", address=f"52:54:00:{number >> 8:02x}:{number & 255:02x}:{index:02x}")
        ET.SubElement(nic, "target", dev=f"tap{number}.{index}")
    ET.SubElement(devices, "memballoon", model="virtio")


def _add_text(parent: ET.Element, tag: str, value: object, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = str(value)
