"""Device lists: what is read from the XML, and how long it is believed."""

from __future__ import annotations

import pytest

from producers.libvirt import device_cache
from producers.libvirt.device_cache import NO_DISK_METADATA, NO_NIC_METADATA, DiskDevice, DomainDevices

XML = """<domain id='3'><devices>
  <disk type='file'><target dev='vda'/></disk>
  <disk type='file' device='cdrom'><target dev='hdc'/></disk>
  <disk type='block' device='lun'><target dev='sda'/></disk>
  <disk type='file' device='floppy'/>
  <interface type='user'><mac address='52:54:00:00:00:01'/></interface>
  <interface type='bridge'><mac address='52:54:00:00:00:02'/><target dev='vnet1'/></interface>
  <interface type='hostdev'/>
</devices></domain>"""
KEY = ("u", 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> device_cache.DeviceCache:
    return device_cache.DeviceCache(300.0, clock)


def test_nics_go_by_target_else_mac_and_disks_keep_their_type():
    found = device_cache.parse_domain_xml(XML)

    assert ["52:54:00:00:00:01", "vnet1"] == list(found.nics)
    assert [("vda", "disk"), ("hdc", "cdrom"), ("sda", "lun")] == [
        (name, each.kind) for name, each in found.disks.items()
    ]


def test_what_is_not_xml_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="XML cannot be read"):
        device_cache.parse_domain_xml("<domain>")


OLD, NEW = DomainDevices({"old": NO_NIC_METADATA}), DomainDevices({"new": NO_NIC_METADATA})


@pytest.mark.parametrize(
    ("later_s", "key", "shape", "expected"),
    [
        pytest.param(299.9, KEY, (), OLD, id="believed for the time to live"),
        pytest.param(300.0, KEY, (), NEW, id="read again after it"),
        pytest.param(1.0, ("u", 2), (), NEW, id="a new run of the domain"),
        pytest.param(1.0, KEY, (3,), NEW, id="a device came"),
    ],
)
def test_when_the_xml_is_read_again(cache, clock, later_s, key, shape, expected):
    cache.get(KEY, (), lambda: OLD)
    clock.now = later_s

    assert expected == cache.get(key, shape, lambda: NEW)


def test_old_devices_stay_while_the_xml_cannot_be_read_and_it_is_tried_again(cache, clock):
    cache.get(KEY, (), lambda: OLD)
    clock.now = 301.0

    assert OLD == cache.get(KEY, (), lambda: None)
    assert NEW == cache.get(KEY, (), lambda: NEW)


def test_domains_that_are_gone_are_forgotten(cache):
    cache.get(KEY, (), lambda: OLD)
    cache.retain([])

    assert NEW == cache.get(KEY, (), lambda: NEW)


def test_an_event_has_the_xml_read_again_once(cache):
    cache.get(KEY, (), lambda: OLD)
    cache.invalidate("u")

    assert NEW == cache.get(KEY, (), lambda: NEW)
    assert NEW == cache.get(KEY, (), lambda: OLD)


def test_an_event_that_comes_while_the_xml_is_read_counts(cache):
    def read() -> DomainDevices:
        cache.invalidate("u")
        return OLD

    cache.get(KEY, (), read)

    assert NEW == cache.get(KEY, (), lambda: NEW)


def test_an_event_is_not_forgotten_when_the_xml_cannot_be_read(cache):
    cache.get(KEY, (), lambda: OLD)
    cache.invalidate("u")

    assert OLD == cache.get(KEY, (), lambda: None)
    assert NEW == cache.get(KEY, (), lambda: NEW)


NOVA = """<domain><title> </title><metadata>
  <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/{version}'>
    <nova:name>web-1</nova:name><nova:flavor name='m1.small'><nova:memory>2048</nova:memory></nova:flavor>
    <nova:owner><nova:user uuid='1'>ada</nova:user><nova:project uuid='2'>shop</nova:project></nova:owner>
  </nova:instance></metadata></domain>"""
ONE = """<domain><metadata><x:vm xmlns:x='http://opennebula.org/xmlns/libvirt/1.0'><x:name><![CDATA[web]]></x:name>
  <x:uname>ada</x:uname><x:gname>shop</x:gname></x:vm></metadata></domain>"""


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        pytest.param(NOVA.format(version="1.0"), ("web-1", "shop", "ada", "m1.small"), id="Nova"),
        pytest.param(NOVA.format(version="1.1"), ("web-1", "shop", "ada", "m1.small"), id="a newer Nova"),
        pytest.param(ONE, ("web", "shop", "ada", None), id="OpenNebula"),
        pytest.param("<domain><metadata><a:vm xmlns:a='urn:other'/></metadata></domain>", (None,) * 4, id="others"),
        pytest.param("<domain/>", (None,) * 4, id="none"),
    ],
)
def test_a_clouds_names_come_from_the_metadata(xml, expected):
    words = device_cache.parse_domain_xml(xml).metadata

    assert expected == tuple(words[f"cloud_{name}"] for name in ("name", "project", "user", "flavor"))
    assert words["title"] is None


def test_devices_carry_what_only_the_xml_knows():
    found = device_cache.parse_domain_xml("""<domain><title>shop</title><devices>
      <disk device='disk'><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>
      <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan' bridge='br0'/>
      <target dev='vnet0'/><alias name='net0'/></interface></devices></domain>""")

    assert {"vnet0": {"mac": "52:54:00:00:00:01", "alias": "net0", "source": "br0"}} == found.nics
    assert {"vda": DiskDevice("disk", {"alias": "virtio-disk0", "bus": "virtio"})} == found.disks
    assert "shop" == found.metadata["title"]
    assert {"alias", "bus"} == set(NO_DISK_METADATA)
