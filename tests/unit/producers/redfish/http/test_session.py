"""Login to a BMC: one session for all requests, Basic authentication without one, and back-off after refusals."""

from __future__ import annotations

import pytest

from producers.redfish.http.errors import Forbidden, Unauthorized
from producers.redfish.http.session import (
    MAX_SHORT_SESSIONS,
    NO_SESSIONS_RETRY_S,
    SESSIONS_FULL_RETRY_S,
    SHORT_SESSION_S,
)
from tests.unit.support.redfish_bmc import ROOT, SESSIONS, BmcAdapter, Clock, client_of, link

CHASSIS = f"{ROOT}/Chassis/1"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bmc():
    return BmcAdapter({ROOT: {"Links": {"Sessions": link(SESSIONS)}}, CHASSIS: {"Id": "1"}})


@pytest.fixture
def client(bmc, clock):
    return client_of(bmc, clock)


def read(client, clock, path=CHASSIS):
    return client.get(path, clock() + 20)


def test_many_requests_are_one_login_and_close_deletes_the_session(bmc, client, clock):
    for _ in range(3):
        assert {"Id": "1"} == read(client, clock)
    assert (1, 3, "session") == (bmc.count("POST"), bmc.count("GET", CHASSIS, "session"), client.auth)
    assert f"{SESSIONS}/1" == client.session_uri
    client.close()
    assert (1, {}, None) == (bmc.count("DELETE", f"{SESSIONS}/1", "session"), bmc.tokens, client.session_uri)


def test_the_service_root_is_read_without_a_session(bmc, client, clock):
    read(client, clock, f"{ROOT}/")
    assert 0 == bmc.count("POST")


def test_an_expired_session_is_replaced_by_one_new_login(bmc, client, clock):
    read(client, clock)
    clock.now_s += 2 * SHORT_SESSION_S
    bmc.tokens.clear()
    assert {"Id": "1"} == read(client, clock)
    assert (2, 2, "session") == (bmc.count("POST"), client.logins, client.auth)


def test_sessions_that_end_too_soon_are_given_up_for_basic(bmc, client, clock):
    for _ in range(MAX_SHORT_SESSIONS + 1):
        read(client, clock)
        bmc.tokens.clear()
    assert {"Id": "1"} == read(client, clock)
    assert ("basic", "sessions end too soon") == (client.auth, client.basic_reason)


def test_tokens_that_are_never_accepted_are_given_up_for_basic(bmc, client, clock):
    bmc.tokens_work = False
    assert {"Id": "1"} == read(client, clock)
    assert ("basic", "new sessions are refused") == (client.auth, client.basic_reason)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_bmc_without_sessions_is_asked_for_one_again_after_an_hour(bmc, client, clock, status):
    bmc.sessions = status
    read(client, clock)
    clock.now_s += NO_SESSIONS_RETRY_S - 1
    read(client, clock)
    assert (1, "basic", f"no sessions: HTTP {status}") == (bmc.count("POST"), client.auth, client.basic_reason)
    clock.now_s += 2
    bmc.sessions = True
    read(client, clock)
    assert (2, "session", "") == (bmc.count("POST"), client.auth, client.basic_reason)


def test_a_bmc_whose_sessions_are_in_use_is_asked_again_at_growing_intervals(bmc, client, clock):
    bmc.sessions = 503
    logins = []
    for _ in range(4 * int(SESSIONS_FULL_RETRY_S)):
        read(client, clock)
        logins.append(bmc.count("POST"))
        clock.now_s += 1
    assert [60, 180] == [second for second in range(1, len(logins)) if logins[second] > logins[second - 1]]
    assert ("Base.1.8.SessionLimitExceeded",) == client.rejection_ids
    assert client.basic_reason.startswith("no session available")


def test_refused_credentials_are_not_sent_again_until_the_back_off_ends(bmc, client, clock):
    bmc.password = "changed"
    with pytest.raises(Unauthorized, match="refused"):
        read(client, clock)
    sent = len(bmc.requests)
    clock.now_s += 59
    with pytest.raises(Unauthorized, match="not tried again for 60 s") as refusal:
        read(client, clock)
    assert (sent, False) == (len(bmc.requests), refusal.value.fresh)
    clock.now_s += 2
    bmc.password = "secret"
    assert {"Id": "1"} == read(client, clock)


def test_new_credentials_are_tried_at_once(bmc, clock):
    credentials = [("monitor", "old")]
    client = client_of(bmc, clock, credentials=lambda: credentials[-1])
    with pytest.raises(Unauthorized):
        read(client, clock)
    credentials.append(("monitor", "secret"))
    assert {"Id": "1"} == read(client, clock)


def test_without_credentials_a_login_is_reported_as_needed(bmc, clock):
    client = client_of(bmc, clock, credentials=lambda: None)
    with pytest.raises(Unauthorized, match="a login is needed"):
        read(client, clock)
    assert ("none", 0) == (client.auth, bmc.count("POST"))


def test_a_resource_that_refuses_everybody_does_not_count_as_a_refused_login(bmc, client, clock):
    bmc.tree[CHASSIS] = 401
    with pytest.raises(Forbidden, match="though the login is accepted"):
        read(client, clock)
    bmc.tree[CHASSIS] = {"Id": "1"}
    assert {"Id": "1"} == read(client, clock)


def test_a_session_of_another_process_is_deleted_before_the_first_login(bmc, clock):
    client = client_of(bmc, clock, stale_session=f"{SESSIONS}/9")
    read(client, clock)
    methods = [(method, path) for method, path, _ in bmc.requests if method != "GET"]
    assert [("DELETE", f"{SESSIONS}/9"), ("POST", SESSIONS)] == methods


@pytest.mark.parametrize("uri", [CHASSIS, SESSIONS, f"{SESSIONS}/../../Chassis/1", "https://other/Sessions/1", ""])
def test_only_sessions_of_this_bmc_are_deleted(bmc, clock, uri):
    read(client_of(bmc, clock, stale_session=uri), clock)
    assert 0 == bmc.count("DELETE")
