"""How a BMC is logged in to, over a real socket: one session for all polls, none left behind, no account locked."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from producers.reader import PollFailed
from producers.redfish import RedfishReader, RedfishTelemetryCollector
from producers.redfish.http.client import RedfishClient
from producers.redfish.http.errors import Forbidden, RedfishError, ResourceMissing, Unauthorized
from tests.e2e.support.doors import CHASSIS, PASSWORD, ROOT, SESSIONS, USERNAME, Door, link
from tests.e2e.support.trees import serving

THERMAL = f"{CHASSIS}/Thermal"


class Clock:
    """The real one, and a way to pass time."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def door() -> Iterator[Door]:
    with serving(Door()) as each:
        yield each


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pair() -> list[str]:
    return [USERNAME, PASSWORD]


@pytest.fixture
def open_client(door: Door, clock: Clock, pair: list[str]) -> Iterator[Callable[..., RedfishClient]]:
    clients: list[RedfishClient] = []

    def open_one(**options: Any) -> RedfishClient:
        clients.append(RedfishClient(door.url, lambda: (pair[0], pair[1]), clock=clock, **options))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


@pytest.fixture
def get(open_client: Callable[..., RedfishClient], clock: Clock) -> Callable[..., dict[str, Any]]:
    client = open_client()
    return lambda uri=THERMAL: client.get(uri, clock() + 20)


def test_many_polls_are_one_login_and_close_deletes_the_session(
    door: Door, open_client: Callable[..., RedfishClient]
) -> None:
    client = open_client()
    reader = RedfishReader("node1", client, labels={}, intervals={})
    for _ in range(5):
        assert 20.0 == reader.read("thermal", 20).body["temperatures"][0]["reading_celsius"]
    assert (1, 1, "session") == (door.count("POST"), client.logins, client.auth)
    assert {"session"} == {way for _, path, way in door.seen if path not in {ROOT, SESSIONS}}
    assert f"{SESSIONS}/1" == client.session_uri == reader.facts().session_uri
    reader.close()
    assert ({}, None) == (door.tokens, client.session_uri)


def test_a_token_that_dies_is_renewed_once_and_nothing_is_lost(door: Door, get: Callable[..., Any]) -> None:
    get()
    door.tokens.clear()
    assert get()["Temperatures"]
    assert (2, 1) == (door.count("POST"), len(door.tokens))
    assert 1 == door.count("DELETE", f"{SESSIONS}/1")


@pytest.mark.parametrize("code", [404, 405, 501])
def test_without_sessions_it_is_basic_and_asked_again_after_an_hour(
    door: Door, clock: Clock, get: Callable[..., Any], code: int
) -> None:
    door.post_status = code
    for _ in range(5):
        get()
    assert (1, 5) == (door.count("POST"), door.count("GET", THERMAL, "basic"))
    door.post_status = 201
    clock.ahead_s += 3601
    get()
    assert 1 == door.count("GET", THERMAL, "session")


def test_with_its_sessions_used_up_it_is_basic_meanwhile(door: Door, clock: Clock, get: Callable[..., Any]) -> None:
    door.most = 0
    for _ in range(3):
        get()
    clock.ahead_s += 61
    get()
    clock.ahead_s += 61  # less than the doubled pause
    get()
    assert (2, 5) == (door.count("POST"), door.count("GET", THERMAL, "basic"))
    door.most = 8
    clock.ahead_s += 61
    get()
    assert 1 == door.count("GET", THERMAL, "session")


def test_what_a_predecessor_left_is_deleted_before_the_first_login(
    door: Door, open_client: Callable[..., RedfishClient]
) -> None:
    door.tokens, door.most = {"of a crashed one": f"{SESSIONS}/77"}, 1
    client = open_client(stale_session=f"{door.url}{SESSIONS}/77")
    assert f"{SESSIONS}/77" == client.session_uri
    client.get(THERMAL, time.monotonic() + 20)
    client.get(THERMAL, time.monotonic() + 20)
    assert ("DELETE", f"{SESSIONS}/77", "basic") == next(each for each in door.seen if each[0] != "GET")
    assert ("session", f"{SESSIONS}/1", 1) == (client.auth, client.session_uri, door.count("DELETE"))


def test_where_basic_is_switched_off_it_is_deleted_after_the_login(
    door: Door, open_client: Callable[..., RedfishClient]
) -> None:
    door.basic_works = False
    open_client(stale_session=f"{SESSIONS}/77").get(THERMAL, time.monotonic() + 20)
    assert ["", "session"] == [way for method, _, way in door.seen if method == "DELETE"]


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.2:1/redfish/v1/SessionService/Sessions/1", CHASSIS, f"{SESSIONS}/../../Chassis/1", f"{SESSIONS}?x",
     SESSIONS, "nonsense", ""],
)  # fmt: skip
def test_nothing_but_a_session_of_this_bmc_is_deleted(
    door: Door, open_client: Callable[..., RedfishClient], uri: str
) -> None:
    open_client(stale_session=uri).get(THERMAL, time.monotonic() + 20)
    assert 0 == door.count("DELETE")


def test_a_location_elsewhere_is_not_where_the_session_is_deleted(
    door: Door, open_client: Callable[..., RedfishClient]
) -> None:
    door.location = "http://127.0.0.2:1/redfish/v1/SessionService/Sessions/9"
    client = open_client()
    client.get(THERMAL, time.monotonic() + 20)
    assert f"{SESSIONS}/1" == client.session_uri


@pytest.mark.parametrize("where", ["by the service", "moved", "unsaid"])
def test_where_sessions_are_made_is_found(door: Door, get: Callable[..., Any], where: str) -> None:
    if where == "by the service":
        door.tree[ROOT] = {"Chassis": link(f"{ROOT}/Chassis"), "SessionService": link("/odd")}
        door.tree["/odd"], door.sessions_at = {"Sessions": link("/odd/Sessions")}, "/odd/Sessions"
    elif where == "moved":
        door.post_moved = door.sessions_at = "/odd/Sessions"
    else:
        door.tree[ROOT] = {"Chassis": link(f"{ROOT}/Chassis")}
    get(ROOT)
    get()
    assert 1 == door.count("GET", THERMAL, "session")


def test_a_refused_login_is_tried_less_and_less_and_a_new_password_at_once(
    door: Door, clock: Clock, get: Callable[..., Any], pair: list[str]
) -> None:
    pair[1] = "wrong"
    for pause_s in (60, 120, 240):
        with pytest.raises(Unauthorized, match="refused"):
            get()
        asked = len(door.seen)
        for _ in range(5):
            with pytest.raises(Unauthorized, match=f"not tried again for {pause_s} s"):
                get()
        clock.ahead_s += pause_s - 1
        with pytest.raises(Unauthorized):
            get()
        assert asked == len(door.seen)
        clock.ahead_s += 2
    assert 3 == door.count("POST")
    with pytest.raises(Unauthorized):
        get()
    pair[1] = PASSWORD
    assert get()["Temperatures"]
    door.tokens.clear()
    pair[1] = "wrong again"
    with pytest.raises(Unauthorized, match="refused"):
        get()
    with pytest.raises(Unauthorized, match="for 60 s"):
        get()


def test_requests_side_by_side_are_one_refusal_and_one_of_them_tries_again(
    door: Door, clock: Clock, open_client: Callable[..., RedfishClient]
) -> None:
    client = open_client()
    door.post_status = 405
    client.get(THERMAL, clock() + 20)
    door.basic_works, door.slow_s = False, 0.0
    barrier = threading.Barrier(8)

    def ask(_: int) -> str:
        barrier.wait(20)
        with pytest.raises(Unauthorized) as denied:
            client.get(THERMAL, clock() + 20)
        return str(denied.value)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
        for pause_s in (60, 120):
            asked = len(door.seen)
            clock.ahead_s += pause_s - 5
            list(pool.map(ask, range(8)))
            assert asked == len(door.seen)
            clock.ahead_s += 10
            list(pool.map(ask, range(8)))
            assert asked + 1 == len(door.seen)


def test_tokens_that_are_not_let_in_are_given_up_for_basic(
    door: Door, open_client: Callable[..., RedfishClient], clock: Clock
) -> None:
    door.tokens_work = False
    client = open_client()
    for _ in range(5):
        assert client.get(THERMAL, clock() + 20)["Temperatures"]
    assert (2, 5) == (door.count("POST"), door.count("GET", THERMAL, "basic"))
    assert "new sessions are refused" == client.basic_reason


def test_sessions_that_end_at_once_are_given_up_for_basic(door: Door, get: Callable[..., Any]) -> None:
    for _ in range(10):
        get()
        door.tokens.clear()
    assert 3 == door.count("POST")


def test_a_resource_that_is_refused_to_everyone_costs_only_itself(door: Door, get: Callable[..., Any]) -> None:
    door.forbidden = {CHASSIS}
    with pytest.raises(Forbidden, match="though the login is accepted"):
        get(CHASSIS)
    assert get()["Temperatures"]
    assert 1 == len(door.tokens)


def test_a_login_that_is_needed_and_not_given_is_said(door: Door, clock: Clock) -> None:
    client = RedfishClient(door.url, clock=clock)
    with pytest.raises(Unauthorized, match="a login is needed"):
        client.get(THERMAL, clock() + 20)
    assert ("none", 0) == (client.auth, door.count("POST"))
    client.close()


def test_close_is_bounded_and_the_session_stays_known(door: Door, open_client: Callable[..., RedfishClient]) -> None:
    client = open_client()
    client.get(THERMAL, time.monotonic() + 20)
    door.delete_s = 8
    began_s = time.monotonic()
    client.close()
    assert time.monotonic() - began_s < 5
    assert f"{SESSIONS}/1" == client.session_uri
    door.delete_s = 0


def test_threads_that_need_a_login_at_once_make_one(door: Door, open_client: Callable[..., RedfishClient]) -> None:
    client = open_client()
    door.slow_s = 0.05
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            assert all(pool.map(lambda _: client.get(THERMAL, time.monotonic() + 20), range(8)))
            door.tokens.clear()
    assert 2 == door.count("POST")


@pytest.mark.parametrize("how", ["close", "let go"])
def test_a_collector_leaves_no_session(how: str) -> None:
    with serving(Door(tls=True)) as door:
        collector = RedfishTelemetryCollector("127.0.0.1", USERNAME, PASSWORD, door.port)
        assert 1 == len(collector.get_thermal_telemetry() or [])
        assert 1 == len(door.tokens)
        if how == "close":
            collector.close()
        else:
            del collector
            gc.collect()
        assert {} == door.tokens


def test_a_script_that_just_ends_leaves_no_session() -> None:
    with serving(Door(tls=True)) as door:
        script = (
            "from producers.redfish import RedfishTelemetryCollector as C\n"
            f"c = C('127.0.0.1', {USERNAME!r}, {PASSWORD!r}, {door.port})\n"
            "print(len(c.get_thermal_telemetry()))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[3],
            env=os.environ,
        )  # fmt: skip
        assert ("1\n", "") == (done.stdout, done.stderr)
        assert (1, {}) == (door.made, door.tokens)


def test_a_failed_poll_with_a_session_says_auth_failed(door: Door, open_client: Callable[..., RedfishClient]) -> None:
    reader = RedfishReader("node1", open_client(), labels={}, intervals={})
    reader.read("thermal", 20)
    door.tokens.clear()
    door.password = "changed"
    door.login = "Basic of another"
    with pytest.raises(PollFailed) as failed:
        reader.read("thermal", 20)
    assert "auth_failed" == failed.value.status


def test_an_answer_that_holds_still_is_not_sent_again(
    door: Door, clock: Clock, open_client: Callable[..., RedfishClient]
) -> None:
    door.etags = "true"
    client = open_client()
    first = client.get(CHASSIS, clock() + 20)
    before = door.sent_bytes
    assert [first] * 9 == [client.get(CHASSIS, clock() + 20) for _ in range(9)]
    assert (before, 9) == (door.sent_bytes, client.etags.hits)
    door.tree[CHASSIS] = {"Id": "2"}
    assert "2" == client.get(CHASSIS, clock() + 20)["Id"]


@pytest.mark.parametrize("what", [THERMAL, f"{CHASSIS}?$expand=*"])
def test_readings_and_expanded_answers_are_sent_anew(
    door: Door, clock: Clock, open_client: Callable[..., RedfishClient], what: str
) -> None:
    door.etags = "always the same"
    door.tree[what] = door.tree[what.partition("?")[0]]
    client = open_client()
    client.get(what, clock() + 20)
    door.tree[what] = {"Temperatures": [{"ReadingCelsius": 99}]}
    assert 99 == client.get(what, clock() + 20)["Temperatures"][0]["ReadingCelsius"]


def test_an_etag_that_lies_is_found_out_after_ten_minutes(
    door: Door, clock: Clock, open_client: Callable[..., RedfishClient]
) -> None:
    door.etags = "always the same"
    client = open_client()
    client.get(CHASSIS, clock() + 20)
    door.tree[CHASSIS] = {"Id": "2"}
    assert "1" == client.get(CHASSIS, clock() + 20)["Id"]
    clock.ahead_s += 601
    assert "2" == client.get(CHASSIS, clock() + 20)["Id"]
    door.tree[CHASSIS] = {"Id": "3"}
    assert ("3", False) == (client.get(CHASSIS, clock() + 20)["Id"], client.etags.trusted)


def test_a_bmc_that_takes_one_request_at_a_time_gets_one(door: Door, open_client: Callable[..., RedfishClient]) -> None:
    door.tree[ROOT]["ProtocolFeaturesSupported"] = {"MultipleHTTPRequests": False}
    uris = [f"{ROOT}/Chassis/{number}" for number in range(8)]
    door.tree[f"{ROOT}/Chassis"] = {"Members": [link(uri) for uri in uris]}
    door.tree |= {uri: {"Thermal": link(THERMAL)} for uri in uris}
    reader = RedfishReader("node1", open_client(), labels={}, intervals={})
    reader.read("thermal", 20)
    assert 1 == door.most_at_once


@pytest.mark.parametrize("code", [429, 503])
def test_a_bmc_that_is_too_busy_for_several_requests_loses_none_and_gets_one_at_a_time(
    door: Door, open_client: Callable[..., RedfishClient], code: int
) -> None:
    uris = [f"{ROOT}/Chassis/{number}" for number in range(8)]
    door.tree[f"{ROOT}/Chassis"] = {"Members": [link(uri) for uri in uris]}
    door.tree |= {uri: {"Thermal": link(f"{uri}/Thermal")} for uri in uris}
    door.tree |= {f"{uri}/Thermal": {"Temperatures": [{"MemberId": "0", "ReadingCelsius": 20}]} for uri in uris}
    door.slow_s, door.too_many = 0.02, code
    reader = RedfishReader("node1", client := open_client(), labels={}, intervals={})
    found = reader.read("thermal", 20)
    assert (8, []) == (len(found.body["temperatures"]), found.problems.as_records())
    asked = len(door.seen)
    reader.read("thermal", 20)
    assert (8, 1) == (len(door.seen) - asked, client.max_concurrent)


def test_a_dead_bmc_costs_one_request_per_pause(
    open_client: Callable[..., RedfishClient], clock: Clock, door: Door
) -> None:
    client = open_client()
    client.get(THERMAL, clock() + 20)
    door.shutdown()
    door.server_close()
    door.hang_up()
    sent: list[int] = []
    for _ in range(300):
        before = client.requests
        for _ in range(7):
            with pytest.raises(RedfishError):
                client.get(THERMAL, clock() + 20)
        sent.append(client.requests - before)
        clock.ahead_s += 2
    assert 3 <= sent[0] <= 4
    assert sum(sent) <= 20
    assert max(sent[1:]) == 1


def test_an_absent_resource_is_no_refusal_of_the_bmc(door: Door, get: Callable[..., Any]) -> None:
    for _ in range(5):
        with pytest.raises(ResourceMissing, match="HTTP 404"):
            get("/redfish/v1/nothing")
    assert get()["Temperatures"]
