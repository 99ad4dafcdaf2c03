"""Host, port and URL of a BMC or proxy, validated strictly, because URL parsers disagree about malformed ones. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_URL_LENGTH: Final = 1024
MAX_PORT: Final = 65535
MAX_NAME_LENGTH: Final = 253
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(https?)://([^/?#]*)/?")
_AUTHORITY: Final = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>\[[^\[\]@]*\]|[^:\[\]@]*)(?::(?P<port>.*))?", re.DOTALL)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""A last label of this form makes some resolvers read the whole name as an IPv4 address."""


class Authority(NamedTuple):
    """User, host and port of a URL."""

    user: str | None
    host: str
    """Host name or IP address in lower case, without the brackets of IPv6."""
    port: int | None


def check_bmc_address(address: str) -> str:
    """Returns the address of a BMC, `http[s]://host[:port]`, if it is valid.

    Raises:
        ValueError: It is not; says why.
    """
    match = _match_url(address, "https://host[:port]")
    if parse_authority(match[2]).user is not None:
        raise ValueError("no user or password in the address: use username and password")
    return address


def check_proxy(url: str) -> str:
    """Returns the URL of an HTTP proxy, `http[s]://[user[:password]@]host[:port]`, if it is valid.

    Raises:
        ValueError: It is not; says why.
    """
    parse_authority(_match_url(url, "http://host:port")[2])
    return url


def parse_authority(text: str) -> Authority:
    """Parses `[user@]host[:port]`.

    Raises:
        ValueError: Host or port is invalid. The message never contains the user, which may include a password.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise ValueError("expected a host name or IP address (IPv6 in brackets), then :port if needed")
    host, port = match["host"], match["port"]
    if host.startswith("["):
        if not isinstance(parse_ip(host[1:-1]), ipaddress.IPv6Address):
            raise ValueError(f"{host[:80]} is not an IPv6 address")
        host = host[1:-1]
    elif not is_host(host):
        raise ValueError(f"{host[:80]!r} is not a host name or IP address")
    if port is not None and not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= MAX_PORT):
        raise ValueError(f"port {port[:20]!r} is not a number from 1 to {MAX_PORT}")
    return Authority(match["user"], host.lower(), int(port) if port is not None else None)


def host_of(address: str) -> str:
    """Returns the host of a valid BMC address."""
    return parse_authority(_match_url(address, "https://host[:port]")[2]).host


def is_host(text: str) -> bool:
    """True for a host name or an IPv4 address in the usual notation."""
    if isinstance(parse_ip(text), ipaddress.IPv4Address):
        return True
    labels = text.removesuffix(".").split(".")
    is_name = len(text) <= MAX_NAME_LENGTH and all(_LABEL.fullmatch(label) for label in labels)
    return is_name and not _NUMBER.fullmatch(labels[-1])


def parse_ip(text: str) -> IpAddress | None:
    """Returns an IP address; None if the text is not one."""
    try:
        return ipaddress.ip_address(text) if text.isascii() and text.isprintable() and " " not in text else None
    except ValueError:
        return None


def _match_url(text: str, expected: str) -> re.Match[str]:
    match = _URL.fullmatch(text) if len(text) <= MAX_URL_LENGTH and text.isascii() and text.isprintable() else None
    if match is None or " " in text or "\\" in text:
        raise ValueError(f"expected {expected}")
    return match
