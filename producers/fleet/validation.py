"""What no single field of a fleet file can say: names, places and keys given twice, and lines. Pure and total.

It judges the file as parsed, not as validated, so that these errors are told together with those of single fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

Location = tuple[Any, ...]
"""Keys and positions from the top of the file."""
PLACES: Final[Mapping[str, str]] = {"host": "", "libvirt": "uri", "redfish": "address"}
"""Section → the field that says where a target is: one place is polled once."""
PORTS: Final = {"http": 80, "https": 443}


def problems(document: Any) -> Iterator[tuple[Location, str]]:
    """What is wrong between the fields of a target, and between targets."""
    for source, field in PLACES.items():
        section = _mapping(_mapping(document).get(source))
        hosts, places = set[str](), set[str]()
        for number, each in enumerate(_list(section.get("targets"))):
            target, at = _mapping(each), (source, "targets", number)
            for where, host in _hosts(target, at):
                if isinstance(host, str) and host in hosts:
                    yield where, f"named twice: {host}"
                hosts.add(str(host))
            place = _place(target.get(field))
            if place is not None and place in places:
                yield (*at, field), f"polled twice: {target[field]}"
            places.add(str(place))
            if source == "redfish":
                yield from _login(section, target, at)


def unshareable(document: Any) -> Iterator[tuple[Location, str]]:
    """What is right in the file of one machine, and not on a topic that any may read, and any producer polls by."""
    for source, field in (("redfish", "proxy"), ("libvirt", "uri")):
        section = _mapping(_mapping(document).get(source))
        entries = [
            ((source, "targets", number), _mapping(each)) for number, each in enumerate(_list(section.get("targets")))
        ]
        for at, entry in [((source,), section), *entries]:
            if _has_password(entry.get(field)):
                yield (*at, field), "a password in a URL can be read by all who read the topic; give none"
            elif source == "libvirt" and _is_local(entry.get(field)):
                what = "is whichever machine polls it: name its machine, as in qemu+tls://kvm-1/system"
                yield (*at, field), f"{entry[field]} {what}"


def keys_given_twice(root: Any) -> Iterator[tuple[int, str]]:
    """Line and name of keys that a mapping has already: YAML would take the last one without a word."""
    left, known = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) in known or not isinstance(node, yaml.CollectionNode):
            continue
        known.add(id(node))  # an anchor's node is there as often as it is referred to
        if isinstance(node, yaml.SequenceNode):
            left += node.value
            continue
        seen = set[str]()
        for key, value in node.value:
            left.append(value)
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.start_mark.line + 1, str(key.value)
                seen.add(key.value)


def line(node: Any, location: Location) -> int:
    """The line of the innermost node on the way to `location`."""
    for part in location:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
    return node.start_mark.line + 1 if node is not None else 1


def loopback(address: str) -> bool:
    """Whether a URL is of this machine."""
    try:
        name = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.startswith("127.") or name == "::1"


def _hosts(target: Mapping[str, Any], at: Location) -> list[tuple[Location, Any]]:
    """Every host that a target's records are about."""
    systems = _mapping(target.get("systems"))
    named = [((*at, "host"), target["host"])] if "host" in target else []
    return [*named, *(((*at, "systems", name), host) for name, host in systems.items())]


def _place(text: Any) -> str | None:
    """One spelling of an address or URI."""
    if not isinstance(text, str):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return text
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.scheme in PORTS else text


def _login(section: Mapping[str, Any], target: Mapping[str, Any], at: Location) -> Iterator[tuple[Location, str]]:
    """A password of its own may go with the section's user, but not the other way round."""
    username = (target if "username" in target else section).get("username")
    password = (target if "username" in target or "password" in target else section).get("password")
    if ("username" in target or "password" in target) and (not username) != (not password):
        yield (*at, "username" if username else "password"), "username and password go together"
    address = target.get("address")
    if username and isinstance(address, str) and address.startswith("http://") and not loopback(address):
        yield (*at, "address"), "a password over plain http is sent in the clear; use https"


def _has_password(url: Any) -> bool:
    try:
        return isinstance(url, str) and urlsplit(url).password is not None
    except ValueError:
        return False


def _is_local(uri: Any) -> bool:
    """Whether a libvirt URI names no machine; the test driver's need none."""
    try:
        parts = urlsplit(uri) if isinstance(uri, str) else None
    except ValueError:
        return False
    return parts is not None and not parts.netloc and not parts.scheme.startswith("test")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
