"""A client that does something wrong too often has to wait, alone."""

from rackstream.access import client_limit
from rackstream.access.client_limit import ClientLimit


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def test_a_client_that_failed_too_often_waits_until_its_failures_are_over():
    clock = Clock()
    limit = ClientLimit(2, 30.0, clock)
    limit.record("10.0.0.1")
    clock.now_s = 10
    assert not limit.is_exceeded("10.0.0.1")
    limit.record("10.0.0.1")

    assert (True, False) == (limit.is_exceeded("10.0.0.1"), limit.is_exceeded("10.0.0.2"))
    clock.now_s = 30
    assert not limit.is_exceeded("10.0.0.1")


def test_all_addresses_of_an_ipv6_network_are_one_client():
    limit = ClientLimit(1, 30.0, Clock())
    limit.record("2001:db8::1")

    assert limit.is_exceeded("2001:db8::ffff")
    assert not limit.is_exceeded("2001:db8:0:1::1")
    limit.record("::ffff:10.0.0.1")
    assert limit.is_exceeded("10.0.0.1")


def test_the_number_of_clients_that_are_remembered_is_limited():
    limit = ClientLimit(1, 30.0, Clock())
    for number in range(client_limit.MAX_CLIENTS + 1):
        limit.record(f"client-{number}")

    assert not limit.is_exceeded("client-0")
    assert limit.is_exceeded("client-1")
