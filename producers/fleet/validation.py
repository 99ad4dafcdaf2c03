"""Checks of a fleet file that span several fields, such as duplicate addresses. Pure.

The file is checked as parsed, not as validated, so that these errors are reported together with those of single fields.
Accepts any document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import yaml

from producers.fleet.network_address import DEFAULT_PORTS, host_of, parse_ip
from producers.registry import SOURCE_SPECS

Location = tuple[int | str, ...]
"""Keys and positions from the top of the file."""
FleetError = tuple[Location, str]
"""Location and message."""


def find_problems(document: object) -> Iterator[FleetError]:
    """Finds errors between the fields of a target, and between targets."""
    for source, spec in SOURCE_SPECS.items():
        section = _mapping(_mapping(document).get(source))
        address_field = spec.target.address_field
        hosts, addresses = set[str](), set[str]()
        for number, entry in enumerate(_list(section.get("targets"))):
            target: Mapping[str, object] = _mapping(entry)
            location: Location = (source, "targets", number)
            for host_location, host in _hosts(target, location):
                if isinstance(host, str) and host in hosts:
                    yield host_location, f"named twice: {host}"
                hosts.add(str(host))
            address = _normalized_address(target.get(address_field))
            if address is not None and address in addresses:
                yield (*location, address_field), f"polled twice: {target[address_field]}"
            addresses.add(str(address))
            if source == "redfish":
                yield from _login_problems(section, target, location)


def find_published_passwords(document: object) -> Iterator[FleetError]:
    """Finds URLs whose passwords the topic of shared targets would expose."""
    for source, field in (("redfish", "proxy"), ("libvirt", "uri")):
        section = _mapping(_mapping(document).get(source))
        entries: list[tuple[Location, Mapping[str, object]]] = [((source,), section)]
        for number, target in enumerate(_list(section.get("targets"))):
            entries.append(((source, "targets", number), _mapping(target)))
        for location, entry in entries:
            if _has_password(entry.get(field)):
                yield (
                    (*location, field),
                    "the topic would expose this password to all its readers: remove it from the URL",
                )


def find_duplicate_keys(root: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Yields line and name of each duplicate key of a mapping.

    YAML itself silently keeps the last one.
    """
    stack, visited = [root], set[int]()
    while stack:
        node = stack.pop()
        if id(node) in visited or not isinstance(node, yaml.CollectionNode):
            continue
        visited.add(id(node))  # an anchor's node appears once per reference
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
            continue
        keys = set[str]()
        for key, value in node.value:
            stack.append(value)
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    yield key.start_mark.line + 1, str(key.value)
                keys.add(key.value)


def line_of(node: yaml.Node | None, location: Location) -> int:
    """Returns the line of the innermost existing node on the path to `location`."""
    for part in location:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
    return int(node.start_mark.line) + 1 if node is not None else 1


def is_loopback(address: str) -> bool:
    """True if a BMC's address points to this machine."""
    try:
        host = host_of(address)
    except ValueError:
        return False
    ip = parse_ip(host)
    return host == "localhost" or (ip is not None and ip.is_loopback)


def _hosts(target: Mapping[str, object], location: Location) -> list[tuple[Location, object]]:
    """Returns every host that a target's records describe, with its location."""
    systems = _mapping(target.get("systems"))
    hosts: list[tuple[Location, object]] = [((*location, "host"), target["host"])] if "host" in target else []
    return [*hosts, *(((*location, "systems", name), host) for name, host in systems.items())]


def _normalized_address(address: object) -> str | None:
    """Returns one spelling of an address or URI: without path, with port."""
    if not isinstance(address, str):
        return None
    try:
        parts = urlsplit(address)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return address
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.scheme in DEFAULT_PORTS else address


def _login_problems(
    section: Mapping[str, object], target: Mapping[str, object], location: Location
) -> Iterator[FleetError]:
    """Checks that user and password are complete and not sent in the clear.

    A target may combine a password of its own with the section's user, but not the other way round.
    """
    username = (target if "username" in target else section).get("username")
    password = (target if "username" in target or "password" in target else section).get("password")
    if ("username" in target or "password" in target) and (not username) != (not password):
        yield (*location, "username" if username else "password"), "username and password go together"
    address = target.get("address")
    if username and isinstance(address, str) and address.startswith("http://") and not is_loopback(address):
        yield (*location, "address"), "a password over plain http is sent in the clear; use https"


def _has_password(url: object) -> bool:
    try:
        return isinstance(url, str) and urlsplit(url).password is not None
    except ValueError:
        return False


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
