"""What only a domain's XML knows (devices, their MACs and aliases, a cloud's names), and the cache that keeps it.

No I/O: the caller reads the XML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree as ET

Key = tuple[str, int | None]
"""(UUID, domain id): a new run of a domain may have other devices."""
Words = Mapping[str, str | None]
"""Fields of a record that only the XML knows."""
NICS: Final = "./devices/interface"
DISKS: Final = "./devices/disk"
NOVA: Final = "http://openstack.org/xmlns/libvirt/nova/"
OPENNEBULA: Final = "http://opennebula.org/xmlns/libvirt/"
"""Namespaces of the two clouds' metadata, before the version."""

NIC_WORDS: Final[Words] = dict.fromkeys(("mac", "alias", "source"))
DISK_WORDS: Final[Words] = dict.fromkeys(("alias", "bus"))
DOMAIN_WORDS: Final[Words] = dict.fromkeys(("title", "cloud_name", "cloud_project", "cloud_user", "cloud_flavor"))
"""What is said of a domain whose XML was not read, or does not have them."""


class Disk(NamedTuple):
    """A block device."""

    kind: str = "disk"
    """disk, lun, cdrom or floppy."""
    words: Words = DISK_WORDS


class Devices(NamedTuple):
    """A domain by its XML. Devices in the order of its definition, which is the order of net.N and block.N."""

    nics: Mapping[str, Words] = {}
    """By target device, or by MAC where there is none."""
    disks: Mapping[str, Disk] = {}
    """By target."""
    words: Words = DOMAIN_WORDS


def parse(xml: str) -> Devices:
    """What a domain XML (virDomainGetXMLDesc) says. NICs go by target, else MAC; disks have a target always.

    Raises:
        ValueError: not XML.
    """
    try:
        root = ET.fromstring(xml)  # noqa: S314 -- written by libvirt, which has parsed and formatted it
    except ET.ParseError as error:
        raise ValueError(f"the domain's XML cannot be read: {error}") from error
    nics = {}
    for nic in root.iterfind(NICS):
        mac = _attribute(nic, "mac", "address")
        device = _attribute(nic, "target", "dev") or mac
        if device:
            source = nic.find("source")
            where = None if source is None else source.get("bridge") or source.get("network") or source.get("dev")
            nics[device] = {"mac": mac, "alias": _attribute(nic, "alias", "name"), "source": where}
    disks = {
        target: Disk(
            disk.get("device", "disk"),
            {"alias": _attribute(disk, "alias", "name"), "bus": _attribute(disk, "target", "bus")},
        )
        for disk in root.iterfind(DISKS)
        if (target := _attribute(disk, "target", "dev"))
    }
    return Devices(nics, disks, {**DOMAIN_WORDS, "title": _text(root, "title"), **_cloud(root.find("metadata"))})


def _cloud(metadata: ET.Element | None) -> Words:
    """Names that Nova or OpenNebula gave. Which version of their namespace it is does not matter."""
    for element in () if metadata is None else metadata:
        space, _, tag = element.tag.lstrip("{").partition("}")
        name = f"{{{space}}}"
        if tag == "instance" and space.startswith(NOVA):
            return {
                "cloud_name": _text(element, f"{name}name"),
                "cloud_project": _text(element, f"{name}owner/{name}project"),
                "cloud_user": _text(element, f"{name}owner/{name}user"),
                "cloud_flavor": _attribute(element, f"{name}flavor", "name"),
            }
        if tag == "vm" and space.startswith(OPENNEBULA):
            words = {"cloud_name": "name", "cloud_project": "gname", "cloud_user": "uname"}
            return {field: _text(element, name + word) for field, word in words.items()}
    return {}


def _attribute(element: ET.Element, child: str, name: str) -> str | None:
    found = element.find(child)
    return None if found is None else found.get(name)


def _text(element: ET.Element, path: str) -> str | None:
    return (element.findtext(path) or "").strip() or None


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
        self._changed: set[str] = set()

    def get(self, key: Key, shape: tuple[Any, ...], read: Callable[[], Devices | None]) -> Devices | None:
        """The devices; what is old, changed or missing is had from `read`, and if that gives None, the old ones stay.

        An event that comes while `read` is asking counts for the next time.
        """
        entry = self._entries.get(key)
        now = self._clock()
        changed = key[0] in self._changed
        if entry is not None and entry.shape == shape and now < entry.expires and not changed:
            return entry.devices
        self._changed.discard(key[0])
        devices = read()
        if devices is None:
            if changed:
                self._changed.add(key[0])
            return entry.devices if entry else None
        self._entries[key] = _Entry(devices, shape, now + self._ttl_s)
        return devices

    def changed(self, uuid: str) -> None:
        """Says that a domain's XML is another. Safe in any thread."""
        self._changed.add(uuid)

    def keep(self, keys: Iterable[Key]) -> None:
        """Forgets all other domains."""
        wanted = set(keys)
        self._entries = {key: entry for key, entry in self._entries.items() if key in wanted}
        # Events tell of domains that are not active, too.
        self._changed &= {uuid for uuid, _ in wanted}
