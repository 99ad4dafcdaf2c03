"""What the guests of the QEMU lab are: their boot sector and their XML. Pure."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

MEMORY_MIB = 32
NIC = (
    "<interface type='bridge'><mac address='{mac}'/><source bridge='br0'/><target dev='{device}'/>"
    "<model type='virtio'/></interface>"
)
DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='writeback'/><source file='{file}'/>"
    "<target dev='{device}' bus='virtio'/></disk>"
)
DOMAIN = (
    "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>"
    "<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='{boot}'/><bios rebootTimeout='0'/></os>"
    "<features><acpi/></features><on_poweroff>destroy</on_poweroff>"
    "<devices><emulator>{emulator}</emulator>{devices}<controller type='usb' model='none'/>"
    "<memballoon model='virtio'><stats period='2'/></memballoon></devices></domain>"
)


def uuid(name: str) -> str:
    """The UUID of a guest."""
    return str(uuid5(NAMESPACE_URL, f"rackstream:{name}"))


def definition(name: str, number: int, disks: list[Path], *, boot: str, emulator: str | None) -> str:
    """The XML of a guest with these disks as vda, vdb, … and two NICs."""
    devices = [DISK.format(file=file, device=f"vd{chr(ord('a') + n)}") for n, file in enumerate(disks)]
    devices += [NIC.format(mac=f"52:54:00:00:{number:02x}:{n:02x}", device=f"t{number}.{n}") for n in range(2)]
    return DOMAIN.format(
        name=name, uuid=uuid(name), memory=MEMORY_MIB, boot=boot, emulator=emulator, devices="".join(devices)
    )


def source(number: int, file: Path) -> dict[str, str]:
    """The XML of a NIC and a disk to be plugged in."""
    return {
        "nic": NIC.format(mac=f"52:54:00:00:{number:02x}:ff", device=f"plugged{number}"),
        "disk": DISK.format(file=file, device="vdx"),
    }


def sector(*, busy: bool) -> bytes:
    """A boot sector: at each of 18 clock ticks a second it looks whether the power button was pressed, then turns off.

    `busy`: it also reads sector 2 and writes sector 3 of the first disk, through the BIOS.
    """
    start = bytes.fromhex(
        "31c0 8ed8 8ec0"  # ds = es = 0
        "ba0206 b80001 ef"  # PM1 enable (port 0x602): the power button
    )
    disk = bytes.fromhex(
        "bb007e"  # buffer 0:7e00
        "b80102 b90200 ba8000 cd13"  # read one sector: cylinder 0, sector 2, head 0, drive 0x80
        "b80103 b90300 ba8000 cd13"  # write one: sector 3
    )
    tick = bytes.fromhex(
        "fb f4"  # sleep until the next tick
        "ba0006 ed f6c401"  # PM1 status (port 0x600): the power button's bit
    )
    off = bytes.fromhex("ba0406 b80020 ef")  # PM1 control (port 0x604): S5
    body = (disk if busy else b"") + tick
    code = start + body + b"\x74" + struct.pack("b", -len(body) - 2) + off + b"\xeb\xfe"
    return code.ljust(510, b"\0") + b"\x55\xaa"
