"""Parses domain XML (devices, MACs, aliases, cloud names) and caches the result.

No I/O: the caller reads the XML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

DomainKey = tuple[str, int | None]
"""UUID and domain id: a new run of a domain may have other devices."""
Signature = tuple[int | str | None, ...]
"""Changes when a device comes or goes (`mapping.device_signature`)."""
XmlFields = Mapping[str, str | None]
"""Fields of a record that only the XML provides."""
NICS: Final = "./devices/interface"
DISKS: Final = "./devices/disk"
NOVA: Final = "http://openstack.org/xmlns/libvirt/nova/"
OPENNEBULA: Final = "http://opennebula.org/xmlns/libvirt/"
"""XML namespaces of the clouds' metadata, without the version."""

NO_NIC_METADATA: Final[XmlFields] = dict.fromkeys(("mac", "alias", "source"))
NO_DISK_METADATA: Final[XmlFields] = dict.fromkeys(("alias", "bus"))
NO_DOMAIN_METADATA: Final[XmlFields] = dict.fromkeys(
    ("title", "cloud_name", "cloud_project", "cloud_user", "cloud_flavor")
)
"""Used where the XML was not read or lacks the elements."""


class DiskDevice(NamedTuple):
    """A block device."""

    kind: str = "disk"
    """disk, lun, cdrom or floppy."""
    metadata: XmlFields = NO_DISK_METADATA


class DomainDevices(NamedTuple):
    """Devices and metadata of a domain.

    Devices are in the order of its definition, which is the order of net.N and block.N.
    """

    nics: Mapping[str, XmlFields] = {}
    """By target device, or by MAC if it has none."""
    disks: Mapping[str, DiskDevice] = {}
    """By target device."""
    metadata: XmlFields = NO_DOMAIN_METADATA


def parse_domain_xml(xml: str) -> DomainDevices:
    """Reads devices and metadata from a domain XML (virDomainGetXMLDesc).

    Raises:
        ValueError: It is not XML.
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
            network = None if source is None else source.get("bridge") or source.get("network") or source.get("dev")
            nics[device] = {"mac": mac, "alias": _attribute(nic, "alias", "name"), "source": network}
    disks = {
        target: DiskDevice(
            disk.get("device", "disk"),
            {"alias": _attribute(disk, "alias", "name"), "bus": _attribute(disk, "target", "bus")},
        )
        for disk in root.iterfind(DISKS)
        if (target := _attribute(disk, "target", "dev"))
    }
    metadata = {**NO_DOMAIN_METADATA, "title": _text(root, "title"), **_cloud_metadata(root.find("metadata"))}
    return DomainDevices(nics, disks, metadata)


def _cloud_metadata(metadata: ET.Element | None) -> XmlFields:
    """Reads the names given by Nova or OpenNebula, whatever the version of their namespace."""
    for element in () if metadata is None else metadata:
        space, _, tag = element.tag.lstrip("{").partition("}")
        prefix = f"{{{space}}}"
        if tag == "instance" and space.startswith(NOVA):
            return {
                "cloud_name": _text(element, f"{prefix}name"),
                "cloud_project": _text(element, f"{prefix}owner/{prefix}project"),
                "cloud_user": _text(element, f"{prefix}owner/{prefix}user"),
                "cloud_flavor": _attribute(element, f"{prefix}flavor", "name"),
            }
        if tag == "vm" and space.startswith(OPENNEBULA):
            children = {"cloud_name": "name", "cloud_project": "gname", "cloud_user": "uname"}
            return {field: _text(element, prefix + child) for field, child in children.items()}
    return {}


def _attribute(element: ET.Element, child_path: str, name: str) -> str | None:
    child = element.find(child_path)
    return None if child is None else child.get(name)


def _text(element: ET.Element, path: str) -> str | None:
    return (element.findtext(path) or "").strip() or None


@dataclass(frozen=True)
class _Entry:
    devices: DomainDevices
    signature: Signature
    expires_s: float


class DeviceCache:
    """Keeps each domain's devices for `ttl_s` seconds, or until its device signature changes."""

    def __init__(self, ttl_s: float, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: dict[DomainKey, _Entry] = {}
        self._invalidated: set[str] = set()

    def get(
        self, key: DomainKey, signature: Signature, read: Callable[[], DomainDevices | None]
    ) -> DomainDevices | None:
        """Returns the devices of a domain; calls `read` if they are missing, expired or invalidated.

        If `read` returns None, the previous devices stay. An event that arrives during `read` takes effect at the
        next call.
        """
        entry = self._entries.get(key)
        now_s = self._clock()
        was_invalidated = key[0] in self._invalidated
        if entry is not None and entry.signature == signature and now_s < entry.expires_s and not was_invalidated:
            return entry.devices
        self._invalidated.discard(key[0])
        devices = read()
        if devices is None:
            if was_invalidated:
                self._invalidated.add(key[0])
            return entry.devices if entry else None
        self._entries[key] = _Entry(devices, signature, now_s + self._ttl_s)
        return devices

    def invalidate(self, uuid: str) -> None:
        """Marks a domain's XML as changed. Safe in any thread."""
        self._invalidated.add(uuid)

    def retain(self, keys: Iterable[DomainKey]) -> None:
        """Drops all domains but these."""
        retained = set(keys)
        self._entries = {key: entry for key, entry in self._entries.items() if key in retained}
        # Events also concern domains that are not active.
        self._invalidated &= {uuid for uuid, _ in retained}
