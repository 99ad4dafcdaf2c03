"""What a shape of BMC is, and what the documents of all shapes have in common. Data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rackstream.simulators.readings import Moment

Document = dict[str, Any]
Make = Callable[[Moment], Document]
Part = Document | Make
"""A document that does not move, or what makes one of a moment."""
Parts = Mapping[str, Part]
"""URI, without a slash at its end → its document."""

NUMBER: Final = "@NUMBER@"
"""Stands for the BMC's number, six digits, in texts of documents that do not move: they are encoded once for all."""
ROOT: Final = "/redfish/v1"
UUID: Final = f"00000000-0000-4000-8000-000000{NUMBER}"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One vendor's BMC of one generation."""

    name: str
    vendor: str | None
    """As the service root says it; None: it does not."""
    manager: str
    """Id of its Manager."""
    firmware: str
    version: str = "1.17.0"
    """RedfishVersion."""
    documents: Parts
    """All but the service root, the Managers and the SessionService."""
    dead: frozenset[str] = frozenset()
    """Links that lead nowhere, as they do in normal operation."""
    expand: int | None = None
    """Levels that `$expand` goes down; 0: the root says that there is none; None: it says nothing."""
    expand_ways: str = ".*~"
    """The forms of `$expand` it knows."""
    etags: bool = False
    page: int | None = None
    """Members of a collection in one answer; None: all."""
    slashes: bool = False
    """Links end in a slash, and a root without one is redirected."""
    sessions: bool = True
    """Whether there is a SessionService."""
    alone: bool = False
    """Whether it takes one request at a time only (`MultipleHTTPRequests`: false)."""
    full: str = field(default="Base.1.8.SessionLimitExceeded")
    """The message when all sessions are used up."""


def status(health: str = "OK", state: str = "Enabled") -> Document:
    """Status of something that is there."""
    return {"State": state, "Health": health}


ABSENT: Final = {"State": "Absent"}


def link(uri: str) -> Document:
    """A link."""
    return {"@odata.id": uri}


def links(uri: str, *names: str) -> Document:
    """Properties that link the resources of their names below a URI."""
    return {name: link(f"{uri}/{name}") for name in names}


def resource(uri: str, kind: str, **properties: Any) -> Document:
    """A resource; `kind` is its schema and version, such as Thermal.v1_7_1."""
    ident = uri.rpartition("/")[2]
    name = kind.partition(".")[0]
    return {"@odata.id": uri, "@odata.type": f"#{kind}.{name}", "Id": ident, "Name": name, **properties}


def collection(uri: str, kind: str, uris: Sequence[str]) -> Document:
    """A collection of what is at these URIs."""
    return {
        "@odata.id": uri,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members": [link(each) for each in uris],
        "Members@odata.count": len(uris),
    }


def members(uri: str, kind: str, parts: Mapping[str, Part], *, unlisted: Parts | None = None) -> dict[str, Part]:
    """A collection, its members by id, and what is `unlisted` below them by the rest of its URI."""
    found: dict[str, Part] = {uri: collection(uri, kind, [f"{uri}/{each}" for each in parts])}
    found |= {f"{uri}/{ident}": part for ident, part in parts.items()}
    return found | {f"{uri}/{rest}": part for rest, part in (unlisted or {}).items()}


def service(shape: Shape) -> Parts:
    """The documents that all services have."""
    protocol: Document = {"ExcerptQuery": False, "FilterQuery": False, "SelectQuery": False}
    if shape.expand is not None:
        whole = "*" in shape.expand_ways
        protocol["ExpandQuery"] = {
            "ExpandAll": whole,
            "Levels": bool(shape.expand),
            "Links": whole and bool(shape.expand),
            "NoLinks": bool(shape.expand),
            **({"MaxLevels": shape.expand} if shape.expand else {}),
        }
    if shape.alone:
        protocol["MultipleHTTPRequests"] = False
    root = resource(
        ROOT,
        "ServiceRoot.v1_15_0",
        Id="RootService",
        RedfishVersion=shape.version,
        UUID=UUID,
        **({"Vendor": shape.vendor} if shape.vendor else {}),
        **({} if shape.expand is None and not shape.alone else {"ProtocolFeaturesSupported": protocol}),
        **links(ROOT, "Systems", "Chassis", "Managers", *(["SessionService"] if shape.sessions else [])),
        Links={"Sessions": link(f"{ROOT}/SessionService/Sessions")} if shape.sessions else {},
    )
    manager = resource(
        f"{ROOT}/Managers/{shape.manager}",
        "Manager.v1_19_0",
        ManagerType="BMC",
        FirmwareVersion=shape.firmware,
        Status=status(),
    )
    return {
        "/redfish": {"v1": f"{ROOT}/"},
        ROOT: root,
        **members(f"{ROOT}/Managers", "Manager", {shape.manager: manager}),
    }
