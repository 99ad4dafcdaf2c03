"""A domain's NICs and disks, from its XML, and the cache that keeps them. No I/O: the caller reads the XML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

from producers.libvirt.sample import Devices

Key = tuple[str, int | None]
"""(UUID, domain id): a new run of a domain may have other devices."""
NICS: Final = "./devices/interface"
DISKS: Final = "./devices/disk"


def parse(xml: str) -> Devices:
    """The devices of a domain XML (virDomainGetXMLDesc). NICs go by target, else MAC; disks have a target always.

    Raises:
        ValueError: not XML.
    """
    try:
        root = ET.fromstring(xml)  # noqa: S314 -- written by libvirt, which has parsed and formatted it
    except ET.ParseError as error:
        raise ValueError(f"the domain's XML cannot be read: {error}") from error
    nics = (_attribute(nic, "target", "dev") or _attribute(nic, "mac", "address") for nic in root.iterfind(NICS))
    disks = (
        (target, disk.get("device", "disk"))
        for disk in root.iterfind(DISKS)
        if (target := _attribute(disk, "target", "dev"))
    )
    return Devices(tuple(nic for nic in nics if nic), tuple(disks))


def _attribute(element: ET.Element, child: str, name: str) -> str | None:
    found = element.find(child)
    return None if found is None else found.get(name)


@dataclass(frozen=True)
class _Entry:
    devices: Devices
    shape: tuple[Any, ...]
    expires: float


class DeviceCache:
    """Devices by domain for `ttl_s` seconds, or until the domain's shape (`sample.shape`) is another."""

    def __init__(self, ttl_s: float, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}

    def get(self, key: Key, shape: tuple[Any, ...], read: Callable[[], Devices | None]) -> Devices | None:
        """The devices; what is old or missing is had from `read`, and if that gives None, the old ones stay."""
        entry = self._entries.get(key)
        now = self._clock()
        if entry is not None and entry.shape == shape and now < entry.expires:
            return entry.devices
        devices = read()
        if devices is None:
            return entry.devices if entry else None
        self._entries[key] = _Entry(devices, shape, now + self._ttl_s)
        return devices

    def keep(self, keys: Iterable[Key]) -> None:
        """Forgets all other domains."""
        wanted = set(keys)
        self._entries = {key: entry for key, entry in self._entries.items() if key in wanted}
