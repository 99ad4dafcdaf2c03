"""Discovery of a BMC's systems and chassis, and what of it is read again later."""

from __future__ import annotations

import pytest
from requests import ConnectionError as Refused

from producers.redfish.discovery import INCOMPLETE_RETRY_S, PLAN_VALID_S, REDISCOVERY_S, Discovery
from producers.redfish.http.errors import BadResponse, ResourceMissing, Unauthorized
from producers.redfish.http.negative_cache import NegativeCacheClient
from tests.unit.support.redfish_bmc import ROOT, BmcAdapter, Clock, client_of, collection, link

SYSTEMS, CHASSIS, MANAGERS = f"{ROOT}/Systems", f"{ROOT}/Chassis", f"{ROOT}/Managers"
EXPAND = {"ExpandQuery": {"NoLinks": True, "Levels": True, "MaxLevels": 1}}


def tree():
    """Two systems in two chassis of their own, and an enclosure."""
    return {
        ROOT: {"Vendor": "ACME", **{name: link(f"{ROOT}/{name}") for name in ("Systems", "Chassis", "Managers")}},
        SYSTEMS: collection(SYSTEMS, "A", "B"),
        f"{SYSTEMS}/A": {
            "Id": "A", "Memory": link(f"{SYSTEMS}/A/Memory"), "Links": {"Chassis": [link(f"{CHASSIS}/1")]}
        },
        f"{SYSTEMS}/B": {"Id": "B", "Bios": link(f"{SYSTEMS}/B/Bios")},
        CHASSIS: collection(CHASSIS, "1", "2", "Rack"),
        f"{CHASSIS}/1": {
            "Id": "1", "Thermal": link(f"{CHASSIS}/1/Thermal"), "Links": {"ContainedBy": link(f"{CHASSIS}/Rack")}
        },
        f"{CHASSIS}/2": {"Id": "2", "Links": {"ComputerSystems": [link(f"{SYSTEMS}/B/")]}},
        f"{CHASSIS}/Rack": {"Id": "Rack"},
        MANAGERS: collection(MANAGERS, "bmc"),
        f"{MANAGERS}/bmc": {"Id": "bmc", "FirmwareVersion": "1.0"},
    }  # fmt: skip


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bmc():
    return BmcAdapter(tree())


@pytest.fixture
def discovery(bmc, clock):
    return Discovery(NegativeCacheClient(client_of(bmc, clock), clock), clock)


def run(discovery, clock):
    return discovery.run(clock() + 20)


def test_a_plan_has_the_systems_and_chassis_with_the_links_that_are_read(discovery, clock):
    plan = run(discovery, clock)
    assert [("A", {"Memory": f"{SYSTEMS}/A/Memory"}), ("B", {})] == [
        (system.resource_id, system.links) for system in plan.systems
    ]
    assert [("1", {"Thermal": f"{CHASSIS}/1/Thermal"}), ("2", {}), ("Rack", {})] == [
        (chassis.resource_id, chassis.links) for chassis in plan.chassis
    ]
    assert clock() + PLAN_VALID_S == plan.valid_until_s
    assert ("1.0", "ACME") == (discovery.firmware, discovery.first_text("Vendor"))


def test_systems_are_assigned_to_chassis_by_links_in_either_direction(discovery, clock):
    chassis = {chassis.resource_id: chassis for chassis in run(discovery, clock).chassis}
    assert {"1": ("A",), "2": ("B",), "Rack": ()} == {name: one.system_ids for name, one in chassis.items()}
    assert f"{CHASSIS}/Rack" == chassis["1"].contained_by


def test_a_system_without_links_is_in_the_chassis_of_the_same_id(bmc, discovery, clock):
    bmc.tree[f"{SYSTEMS}/A"] = {"Id": "1"}
    assert ("1",) == run(discovery, clock).chassis[0].system_ids


def test_two_members_of_one_id_are_told_apart_by_their_uris(bmc, discovery, clock):
    bmc.tree[f"{SYSTEMS}/B"]["Id"] = "A"
    assert ["A", "B"] == [system.resource_id for system in run(discovery, clock).systems]


def test_a_uri_that_two_chassis_link_is_read_for_the_first_one(bmc, discovery, clock):
    bmc.tree[f"{CHASSIS}/2"]["Thermal"] = link(f"{CHASSIS}/1/Thermal/")
    assert [{"Thermal": f"{CHASSIS}/1/Thermal"}, {}, {}] == [one.links for one in run(discovery, clock).chassis]


def test_pages_are_followed_once_each(bmc, discovery, clock):
    bmc.tree[CHASSIS]["Members@odata.nextLink"] = f"{CHASSIS}?$skip=3"
    bmc.tree[f"{CHASSIS}?$skip=3"] = {
        "Members": [link(f"{CHASSIS}/1"), link(f"{CHASSIS}/3")], "Members@odata.nextLink": f"{CHASSIS}?$skip=3"
    }  # fmt: skip
    bmc.tree[f"{CHASSIS}/3"] = {"Id": "3"}
    assert ["1", "2", "Rack", "3"] == [one.resource_id for one in run(discovery, clock).chassis]


def test_members_in_an_expanded_collection_are_not_requested(bmc, discovery, clock):
    bmc.tree[ROOT]["ProtocolFeaturesSupported"] = EXPAND
    bmc.expands = True
    for path in (f"{SYSTEMS}/A", f"{SYSTEMS}/B", f"{MANAGERS}/bmc"):
        bmc.tree[path]["@odata.id"] = path
    assert ["A", "B"] == [system.resource_id for system in run(discovery, clock).systems]
    paths = bmc.paths()
    assert (1, 1) == (paths[f"{SYSTEMS}?$expand=."], paths[f"{MANAGERS}?$expand=."])
    assert not {f"{SYSTEMS}/A", f"{SYSTEMS}/B", f"{MANAGERS}/bmc"} & set(paths)


def test_an_hour_later_only_lists_and_firmware_are_read_again(bmc, discovery, clock):
    run(discovery, clock)
    bmc.paths()
    clock.now_s += PLAN_VALID_S + 1
    run(discovery, clock)
    assert {ROOT, SYSTEMS, CHASSIS, MANAGERS, f"{MANAGERS}/bmc"} == set(bmc.paths())


@pytest.mark.parametrize(
    ("wait_s", "firmware"),
    [
        pytest.param(PLAN_VALID_S + 1, "2.0", id="the firmware has changed"),
        pytest.param(REDISCOVERY_S + 1, "1.0", id="a day has passed"),
    ],
)
def test_everything_is_read_again_and_the_cache_is_new_when(bmc, discovery, clock, wait_s, firmware):
    before = run(discovery, clock)
    bmc.tree[f"{MANAGERS}/bmc"]["FirmwareVersion"] = firmware
    bmc.paths()
    clock.now_s += wait_s
    after = run(discovery, clock)
    assert f"{CHASSIS}/1" in bmc.paths()
    assert before.cache is not after.cache
    assert firmware == discovery.firmware


def test_an_inserted_blade_is_found_with_the_next_plan(bmc, discovery, clock):
    run(discovery, clock)
    bmc.tree[CHASSIS] = collection(CHASSIS, "1", "2", "3", "Rack")
    bmc.tree[f"{CHASSIS}/3"] = {"Id": "3"}
    bmc.paths()
    clock.now_s += PLAN_VALID_S + 1
    assert ["1", "2", "3", "Rack"] == [one.resource_id for one in run(discovery, clock).chassis]
    assert f"{CHASSIS}/1" not in bmc.paths()


def test_a_chassis_that_is_not_served_is_counted_and_left_out(bmc, discovery, clock):
    bmc.tree[f"{CHASSIS}/2"] = 404
    plan = run(discovery, clock)
    assert ["1", "Rack"] == [one.resource_id for one in plan.chassis]
    assert {(f"{CHASSIS}/2", "HTTP 404"): 1} == dict(plan.problems.counts)
    assert not plan.problems.whole


def test_a_bad_response_is_repeated_at_the_next_poll_and_others_are_not(bmc, discovery, clock):
    bmc.tree[f"{CHASSIS}/2"] = 500
    plan = run(discovery, clock)
    assert clock() == plan.valid_until_s
    assert {(f"{CHASSIS}/2", "HTTP 500")} == set(plan.problems.whole)
    bmc.tree[f"{CHASSIS}/2"] = {"Id": "2"}
    bmc.paths()
    assert 3 == len(run(discovery, clock).chassis)
    assert not {f"{CHASSIS}/1", f"{CHASSIS}/Rack"} & set(bmc.paths())


def test_a_bmc_that_is_starting_up_is_discovered_again_after_a_minute(bmc, discovery, clock):
    bmc.tree[SYSTEMS] = 404
    plan = run(discovery, clock)
    assert ([], 3) == (plan.systems, len(plan.chassis))
    assert clock() + INCOMPLETE_RETRY_S == plan.valid_until_s


@pytest.mark.parametrize(
    ("responses", "error"),
    [
        pytest.param({ROOT: {"Id": "x"}}, BadResponse, id="the root links nothing"),
        pytest.param({SYSTEMS: 404, CHASSIS: 404}, ResourceMissing, id="neither collection is served"),
        pytest.param({SYSTEMS: 403, CHASSIS: 403}, Unauthorized, id="the user may read neither collection"),
    ],
)
def test_discovery_fails_when(bmc, discovery, clock, responses, error):
    bmc.tree |= responses
    with pytest.raises(error):
        run(discovery, clock)


def test_an_unreachable_manager_does_not_change_what_is_known(bmc, discovery, clock):
    cache = run(discovery, clock).cache
    bmc.tree[f"{MANAGERS}/bmc"] = Refused("refused")
    clock.now_s += PLAN_VALID_S + 1
    assert cache is run(discovery, clock).cache
    assert "1.0" == discovery.firmware
