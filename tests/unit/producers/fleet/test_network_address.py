"""Addresses of BMCs: what is refused is refused when they are read, never when they are polled."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.fleet.network_address import check_bmc_address, check_proxy, host_of
from producers.fleet.validation import is_loopback


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://10.0.0.1", "10.0.0.1"),
        ("https://BMC-1.example.com:8443/", "bmc-1.example.com"),
        ("http://127.0.0.1:1", "127.0.0.1"),
        ("https://[fe80::1]:443", "fe80::1"),
        ("https://bmc_1", "bmc_1"),
    ],
)
def test_an_address_of_a_bmc_has_a_host(address, host):
    assert (address, host) == (check_bmc_address(address), host_of(address))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://[x", "IP address"),
        ("https://[x]", "not an IPv6 address"),
        ("https://bmc:99999", "port '99999'"),
        ("https://bmc:0", "port '0'"),
        ("https://bmc:", "port ''"),
        ("https://bmc:１", "expected https"),
        ("https://", "not a host name"),
        ("https://user:hunter2@bmc", "no user or password"),
        ("https://bmc/redfish", "expected https"),
        ("https://bmc?x", "expected https"),
        ("https://bmc\n", "expected https"),
        ("https://b mc", "expected https"),
        ("https://bmc\\@evil", "expected https"),
        ("https://-oProxyCommand", "not a host name"),
        ("https://2130706433", "not a host name"),
        ("https://0x7f.1", "not a host name"),
        ("https://10.0.0.256", "not a host name"),
        ("https://10.0.0", "not a host name"),
        ("ftp://bmc", "expected https"),
        ("https://" + "a." * 600 + "b", "expected https"),
    ],
)
def test_another_address_is_refused_with_the_reason(address, says):
    with pytest.raises(ValueError, match=says) as refused:
        check_bmc_address(address)

    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=40))
def test_whatever_follows_the_scheme_it_is_an_address_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert host_of(check_bmc_address(f"https://{text}"))


def test_a_proxy_may_have_a_user_but_no_impossible_port():
    assert "http://u:p@proxy:3128" == check_proxy("http://u:p@proxy:3128")
    with pytest.raises(ValueError, match="port"):
        check_proxy("http://proxy:70000")


@pytest.mark.parametrize("address", ["http://127.evil.example", "http://localhost.evil.example", "http://[x"])
def test_only_this_machine_is_loopback(address):
    assert not is_loopback(address)
    assert is_loopback("http://127.0.0.1:8000")
    assert is_loopback("http://[::1]")
