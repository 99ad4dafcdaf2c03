"""The parts of the Redfish client that decide: breaker, ETags, gate, alarm, origin; and what a probe finds odd."""

from __future__ import annotations

import threading
import zlib

import pytest

from producers.redfish.http import etag_cache
from producers.redfish.http.base_url import BaseUrl
from producers.redfish.http.circuit_breaker import INITIAL_PAUSE_S, MAX_FAILURES, MAX_PAUSE_S, CircuitBreaker
from producers.redfish.http.concurrency_limit import ConcurrencyLimit
from producers.redfish.http.deadline import MAX_FINISHED, DeadlineTimer
from producers.redfish.http.errors import DeadlineExceeded, ResourceMissing, ResponseTimeout, Unreachable
from producers.redfish.http.etag_cache import EtagCache
from producers.redfish.quirks import find_quirks


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(clock)


REFUSED = Unreachable("connection refused")


def fail(breaker, fault=REFUSED, waited_s=0.1):
    breaker.record_failure(fault, waited_s, trial=breaker.admit())


def is_shut(breaker):
    try:
        breaker.release(trial=breaker.admit())
    except Unreachable:
        return True
    return False


def test_a_bmc_that_fails_a_few_times_is_left_alone_with_the_last_cause(breaker, clock):
    breaker.record_response(0.3)
    for _ in range(MAX_FAILURES):
        assert not is_shut(breaker)
        fail(breaker)
    with pytest.raises(Unreachable, match="connection refused") as shut:
        breaker.admit()
    assert not shut.value.fresh
    clock.now_s += INITIAL_PAUSE_S
    assert not is_shut(breaker)


def test_one_request_at_a_time_tries_at_pauses_that_grow(breaker, clock):
    for _ in range(MAX_FAILURES):
        fail(breaker)
    pauses = []
    for _ in range(9):
        began_s = clock.now_s
        while is_shut(breaker):
            clock.now_s += 1
        pauses.append(clock.now_s - began_s)
        trial = breaker.admit()
        assert trial
        assert is_shut(breaker)
        breaker.record_failure(REFUSED, 10.0, trial=trial)
    assert [2, 4, 8, 16, 32, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S] == pauses


def test_an_answer_of_any_kind_lets_all_requests_out_again(breaker, clock):
    for _ in range(MAX_FAILURES):
        fail(breaker)
    clock.now_s += INITIAL_PAUSE_S
    assert breaker.admit()
    breaker.record_response(0.5)
    assert not any(breaker.admit() for _ in range(5))


def test_a_poll_without_time_left_says_nothing_of_the_bmc(breaker):
    for _ in range(20):
        fail(breaker, DeadlineExceeded())
    assert not is_shut(breaker)


def test_a_slow_bmc_whose_answers_come_too_late_for_the_poll_is_not_taken_for_dead(breaker):
    breaker.record_response(20.0)
    for _ in range(20):
        fail(breaker, ResponseTimeout(), waited_s=30.0)
    assert not is_shut(breaker)


def test_a_bmc_that_answered_fast_and_then_hangs_is(breaker):
    for _ in range(100):
        breaker.record_response(0.3)
    for _ in range(MAX_FAILURES):
        fail(breaker, ResponseTimeout(), waited_s=5.0)
    assert is_shut(breaker)


def test_a_bmc_that_was_slow_once_is_forgiven(breaker):
    breaker.record_response(21.0)
    for _ in range(60):
        breaker.record_response(0.3)
    for _ in range(MAX_FAILURES):
        fail(breaker, ResponseTimeout(), waited_s=5.0)
    assert is_shut(breaker)


def test_failures_with_answers_between_them_do_not_add_up(breaker):
    for _ in range(10):
        fail(breaker)
        breaker.record_response(0.3)
    assert not is_shut(breaker)


def test_a_bmc_that_never_answered_costs_one_long_wait(breaker):
    fail(breaker, waited_s=10.0)
    assert is_shut(breaker)


def test_a_trial_that_ends_without_a_word_lets_the_next_one_try(breaker, clock):
    for _ in range(MAX_FAILURES):
        fail(breaker)
    clock.now_s += INITIAL_PAUSE_S
    breaker.record_failure(DeadlineExceeded(), 0.0, trial=breaker.admit())
    assert not is_shut(breaker)


def body(number, size=100):
    return b'{"Id": "%d", "x": "%s"}' % (number, zlib.crc32(b"%d" % number).to_bytes(4, "big").hex().encode() * size)


def test_what_is_kept_is_bounded_and_the_least_used_goes_first(clock, monkeypatch):
    monkeypatch.setattr(etag_cache, "MAX_CACHE_BYTES", 2000)
    memory = EtagCache(clock)
    for number in range(100):
        memory.store(f"/{number}", "e", body(number), conditional=False)
        assert memory.lookup("/0")
    kept = [number for number in range(100) if memory.lookup(f"/{number}")]
    assert kept[0] == 0
    assert kept[1:] == list(range(100 - len(kept) + 1, 100))
    assert sum(len(memory.lookup(f"/{number}").compressed) for number in kept) <= 2000


def test_a_resource_whose_etag_changes_each_time_is_kept_no_more(clock):
    memory = EtagCache(clock)
    for number in range(5):
        memory.store("/a", f"e{number}", body(number), conditional=memory.lookup("/a") is not None)
    assert memory.lookup("/a") is None


def test_a_bmc_that_sends_all_again_though_its_etag_stayed_is_not_asked_conditionally(clock):
    memory = EtagCache(clock)
    for _ in range(5):
        memory.store("/a", "e", body(1), conditional=memory.lookup("/a") is not None)
    assert not memory.trusted
    assert memory.lookup("/a") is None


@pytest.mark.parametrize(
    "text", [b'{"ReadingCelsius": 1}', b'{"Reading":1}', b'{"PowerConsumedWatts": 1}', b'{"MetricValues": []}']
)
def test_readings_are_never_kept(clock, text):
    memory = EtagCache(clock)
    memory.store("/a", "e", text, conditional=False)
    assert memory.lookup("/a") is None


def test_a_gate_lets_its_limit_in_and_the_next_when_one_leaves():
    gate = ConcurrencyLimit(2)
    assert gate.acquire(0)
    assert gate.acquire(0)
    assert not gate.acquire(0)
    gate.release()
    assert gate.acquire(0)
    gate.limit = 1
    gate.release()
    assert not gate.acquire(0)


def test_an_alarm_ends_what_lasts_too_long_and_nothing_else():
    alarm, rung = DeadlineTimer(), threading.Event()
    with alarm.interrupt_after(60, lambda: pytest.fail("rang for a wait that was over")):
        pass
    with alarm.interrupt_after(0.01, rung.set):
        assert rung.wait(60)


def test_an_alarm_forgets_waits_that_are_over():
    alarm = DeadlineTimer()
    with alarm.interrupt_after(60, lambda: None):
        for _ in range(3 * MAX_FINISHED):
            with alarm.interrupt_after(60, lambda: None):
                pass
        assert alarm.queue_length <= 2 * MAX_FINISHED


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("/redfish/v1/", "/redfish/v1/"),
        ("https://bmc:443/a", "/a"),
        ("https://user:secret@bmc/a", "/a"),
        ("/a b?$expand=.($levels=1)", "/a%20b?$expand=.($levels=1)"),
        ("/a?$skip=75#part", "/a?$skip=75"),
    ],
)
def test_own_links_are_asked_for_by_their_path(link, path):
    assert path == BaseUrl("https://bmc/").path(link)


@pytest.mark.parametrize(
    "link", ["http://bmc/a", "https://bmc:8443/a", "https://bmc.evil/a", "//evil/a", "a", "", "http://["]
)
def test_other_links_are_not(link):
    with pytest.raises(ResourceMissing):
        BaseUrl("https://bmc").path(link)


def test_what_is_odd_in_answers_is_found_with_where_and_how_often():
    absent = {"MemberId": "1", "ReadingCelsius": 0, "Status": {"State": "Absent"}, "@odata.id": "/t#Temperatures/1"}
    documents = {
        "/t": {
            "@odata.id": "/t/",
            "Temperatures": [absent, {"ReadingCelsius": 20, "Status": "OK"}],
            "Fans": [{"MemberId": "0", "Reading": "30", "ReadingUnits": "Percent", "Status": {"State": "Enabled"}}],
            "Oem": {"X": {"Fans": [{"Reading": "1", "ReadingUnits": "%"}]}},
        },
        "/s": {"@odata.id": "/other", "@odata.type": "#Sensor.v1_0_0.Sensor", "Reading": None, "Members": None},
        "/c": {"Members": [{"@odata.id": ""}, {"@odata.id": "http://pdu/x"}], "SerialNumber": " 1 "},
    }
    assert {
        "absent parts that read 0": 1, "fragments without a slash": 1, "entries without MemberId": 1,
        "Status that is not an object": 1, "fans in percent": 1, "numbers as text": 1, "sensors without a unit": 1,
        "collections without Members": 1, "resources that name another URI": 1, "empty links": 1,
        "links to other hosts": 1, "padded text": 1,
    } == {quirk.what: quirk.count for quirk in find_quirks(documents)}  # fmt: skip
    assert "/t#Temperatures/1" == next(quirk.example for quirk in find_quirks(documents) if "read 0" in quirk.what)


@pytest.mark.parametrize("odd", [{}, {"a": [[[1]]]}, {"Fans": None}, {"Status": [], "Members": 3}])
def test_nothing_odd_breaks_the_look_at_it(odd):
    assert isinstance(find_quirks({"/x": odd}), list)
