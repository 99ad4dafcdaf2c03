"""Resources of one poll: errors counted, pages followed, links replaced, nothing requested twice in vain."""

from __future__ import annotations

import pytest

from producers.reader import Problems
from producers.redfish.cache import BmcCache
from producers.redfish.expand import ExpandSupport
from producers.redfish.fetch import ResourceFetcher
from producers.redfish.http.negative_cache import NegativeCacheClient
from tests.unit.support.redfish_bmc import ROOT, BmcAdapter, Clock, client_of, collection, link

MEMORY = f"{ROOT}/Systems/1/Memory"
OK = {"State": "Enabled"}
EXPAND = {"ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": True}}}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bmc():
    return BmcAdapter(
        {
            ROOT: {},
            MEMORY: collection(MEMORY, "A", "B"),
            f"{MEMORY}/A": {
                "Id": "A",
                "@odata.id": f"{MEMORY}/A",
                "Status": OK,
                "Metrics": link(f"{MEMORY}/A/Metrics"),
            },
            f"{MEMORY}/B": {"@odata.id": "/other", "Status": OK, "Metrics": link(f"{MEMORY}/B/Metrics")},
            f"{MEMORY}/A/Metrics": {"Id": "Metrics", "OperatingSpeedMHz": 4800},
            f"{MEMORY}/B/Metrics": {"Id": "Metrics", "HealthData": {}},
        }
    )


class Polls:
    """Polls of one BMC that share a cache."""

    def __init__(self, bmc, clock, root=None):
        self.client = NegativeCacheClient(client_of(bmc, clock), clock)
        self.clock = clock
        self.cache = BmcCache(ExpandSupport(root or {}))
        self.problems = Problems()

    def fetcher(self):
        self.problems = Problems()
        return ResourceFetcher(self.client, self.cache, self.clock(), self.clock() + 20, self.problems)


@pytest.fixture
def polls(bmc, clock):
    return Polls(bmc, clock)


def test_a_resource_that_is_missing_is_counted_and_does_not_make_the_target_partial(polls):
    fetcher = polls.fetcher()
    documents = fetcher.get_all([f"{MEMORY}/A", f"{MEMORY}/C"])
    assert ["A", None] == [document and document["Id"] for document in documents]
    assert {(f"{MEMORY}/C", "HTTP 404"): 1} == dict(polls.problems.counts)
    assert (1, True, set()) == (fetcher.fetched, fetcher.is_complete, set(polls.problems.whole))


def test_a_bad_response_makes_the_poll_incomplete_and_is_found_below_its_collection(bmc, polls):
    bmc.tree[f"{MEMORY}/A"] = 500
    fetcher = polls.fetcher()
    fetcher.get_all([f"{MEMORY}/A"])
    assert not fetcher.is_complete
    assert {(f"{MEMORY}/A", "HTTP 500")} == set(polls.problems.whole)
    assert {f"{MEMORY}/A"} == set(fetcher.errors_below(f"{MEMORY}/"))
    assert {} == fetcher.errors_below(f"{MEMORY}/AB")


def test_members_get_the_requested_uri_and_its_end_as_an_id(polls):
    [members] = polls.fetcher().get_collections([MEMORY])
    assert [("A", f"{MEMORY}/A"), ("B", f"{MEMORY}/B")] == [(one["Id"], one["@odata.id"]) for one in members]


def test_a_missing_link_is_an_empty_collection_and_an_unreadable_one_is_none(bmc, polls):
    bmc.tree[MEMORY] = 500
    assert [[], None] == polls.fetcher().list_collections([None, MEMORY])


def test_all_pages_are_read_once_even_in_a_circle(bmc, polls):
    bmc.tree[MEMORY]["Members@odata.nextLink"] = f"{MEMORY}?$skip=2"
    bmc.tree[f"{MEMORY}?$skip=2"] = {"Members": [link("/C")], "Members@odata.nextLink": f"{MEMORY}?$skip=2"}
    [listed] = polls.fetcher().list_collections([MEMORY])
    assert [f"{MEMORY}/A", f"{MEMORY}/B", "/C"] == [member["@odata.id"] for member in listed]
    assert {ROOT: 1, MEMORY: 1, f"{MEMORY}?$skip=2": 1} == bmc.paths()


def test_static_resources_are_read_once_over_all_polls(bmc, polls):
    for uri in (f"{MEMORY}/A", f"{MEMORY}/A/"):
        assert ["A", "A"] == [one["Id"] for one in polls.fetcher().get_static([uri, uri])]
    assert 1 == bmc.paths()[f"{MEMORY}/A"]


def test_linked_resources_replace_their_links(polls):
    fetcher = polls.fetcher()
    documents = fetcher.inline_links(fetcher.get_collections([MEMORY])[0], "Metrics", ["OperatingSpeedMHz"])
    assert [4800, None] == [document["Metrics"].get("OperatingSpeedMHz") for document in documents]


def test_metrics_without_any_property_that_is_read_are_not_requested_again(bmc, polls):
    for expected in (1, 0):
        fetcher = polls.fetcher()
        members = fetcher.get_collections([MEMORY])[0]
        bmc.paths()
        fetcher.inline_links(members, "Metrics", ["OperatingSpeedMHz"])
        paths = bmc.paths()
        assert (1, expected) == (paths[f"{MEMORY}/A/Metrics"], paths[f"{MEMORY}/B/Metrics"])


def test_links_of_absent_parts_are_not_followed(bmc, polls):
    bmc.tree[f"{MEMORY}/A"]["Status"] = {"State": "Absent"}
    fetcher = polls.fetcher()
    fetcher.inline_links(fetcher.get_collections([MEMORY])[0], "Metrics")
    assert 0 == bmc.paths()[f"{MEMORY}/A/Metrics"]


@pytest.mark.parametrize(
    ("expands", "requests"),
    [
        pytest.param(True, {f"{MEMORY}?$expand=."}, id="by their collection where $expand works"),
        pytest.param(False, {f"{MEMORY}/A", f"{MEMORY}/B"}, id="one by one where it does not"),
    ],
)
def test_linked_resources_of_one_collection_are_read(bmc, clock, expands, requests):
    bmc.expands = expands
    bmc.tree[f"{MEMORY}/B"] |= {"Id": "B", "@odata.id": f"{MEMORY}/B"}
    polls = Polls(bmc, clock, EXPAND)
    polls.fetcher().get_collections([MEMORY])
    bmc.paths()
    found = polls.fetcher().get_linked([f"{MEMORY}/A", f"{MEMORY}/B"], [MEMORY, None])
    assert {f"{MEMORY}/A": "A", f"{MEMORY}/B": "B"} == {key: one["Id"] for key, one in found.items()}
    assert requests == set(bmc.paths())


def test_a_query_that_fails_is_given_up_for_plain_collections(bmc, clock):
    bmc.tree[f"{MEMORY}?$expand=."] = 400
    polls = Polls(bmc, clock, EXPAND)
    for _ in range(2):
        assert 2 == len(polls.fetcher().get_collections([MEMORY])[0])
    assert 1 == bmc.paths()[f"{MEMORY}?$expand=."]
    assert not polls.cache.expand.works
