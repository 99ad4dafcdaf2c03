"""Device lists: what is read from the XML, and how long it is believed."""

from __future__ import annotations

import pytest

from producers.libvirt import devices
from producers.libvirt.sample import Devices

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
def cache(clock: Clock) -> devices.DeviceCache:
    return devices.DeviceCache(300.0, clock)


def test_nics_go_by_target_else_mac_and_disks_keep_their_type():
    expected = Devices(("52:54:00:00:00:01", "vnet1"), (("vda", "disk"), ("hdc", "cdrom"), ("sda", "lun")))

    assert expected == devices.parse(XML)


def test_what_is_not_xml_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="XML cannot be read"):
        devices.parse("<domain>")


OLD, NEW = Devices(("old",)), Devices(("new",))


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
    cache.keep([])

    assert NEW == cache.get(KEY, (), lambda: NEW)
