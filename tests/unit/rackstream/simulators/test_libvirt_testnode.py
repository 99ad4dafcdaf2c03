"""The simulated node is what it was asked for, and the same every time."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from rackstream.simulators.libvirt_testnode import node_xml


def test_equal_arguments_give_equal_xml_and_hosts_differ_in_uuids():
    assert node_xml(3) == node_xml(3)
    here, there = ({each.text for each in ET.fromstring(node_xml(3, host=h)).iter("uuid")} for h in ("a", "b"))
    assert 6 == len(here | there)


def test_sizes_and_names_are_as_asked():
    root = ET.fromstring(node_xml(300, nics=1, disks=2, name="vm{n:03d}"))

    assert ["vm000", "vm299"] == [root.findall("domain/name")[k].text for k in (0, -1)]
    assert (300, 600) == (len(root.findall(".//interface")), len(root.findall(".//disk")))
    assert 300 == len({each.attrib["address"] for each in root.iter("mac")})
    assert [] == [each.attrib["dev"] for each in root.iter("target") if len(each.attrib["dev"]) > 15]


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param({"vms": 2, "name": "same"}, id="two domains of one name"),
        pytest.param({"vms": 1, "disks": 27}, id="more disks than letters"),
        pytest.param({"vms": -1}, id="fewer than none"),
    ],
)
def test_what_cannot_be_is_refused(sizes):
    with pytest.raises(ValueError):
        node_xml(**sizes)
