"""Model of a simulated BMC, and the documents that all models have in common. Data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rackstream.simulators.readings import SimulatedReadings

Document = dict[str, Any]
"""A JSON document that the BMC serves."""
DocumentFactory = Callable[[SimulatedReadings], Document]
DocumentSource = Document | DocumentFactory
"""A constant document, or a function that returns it for the current readings."""
DocumentTree = Mapping[str, DocumentSource]
"""URI without a trailing slash → document."""

NUMBER_PLACEHOLDER: Final = "@NUMBER@"
"""Stands for the BMC's number (six digits) in constant documents, which are encoded once for all BMCs."""
ROOT: Final = "/redfish/v1"
UUID: Final = f"00000000-0000-4000-8000-000000{NUMBER_PLACEHOLDER}"


@dataclass(frozen=True, kw_only=True)
class BmcModel:
    """BMC of one vendor and generation."""

    name: str
    vendor: str | None
    """Vendor in the service root; None to omit it."""
    manager: str
    """Id of the Manager."""
    firmware: str
    redfish_version: str = "1.17.0"
    documents: DocumentTree
    """All documents except the service root, the Managers and the SessionService."""
    dead_links: frozenset[str] = frozenset()
    """Linked URIs without a resource, which real BMCs have in normal operation."""
    expand_levels: int | None = None
    """Maximum depth of `$expand`; 0 if the root declares it unsupported, None if the root does not mention it."""
    expand_forms: str = ".*~"
    """Supported forms of `$expand`."""
    etags: bool = False
    page_size: int | None = None
    """Members of a collection in one response; None for all."""
    trailing_slashes: bool = False
    """Links end in a slash, and the root without one is redirected."""
    sessions: bool = True
    """The BMC has a SessionService."""
    one_request_at_a_time: bool = False
    """`MultipleHTTPRequests` is false."""
    sessions_full_code: str = "Base.1.8.SessionLimitExceeded"
    """Message id of the error when all sessions are in use."""


def status(health: str = "OK", state: str = "Enabled") -> Document:
    """Returns the Status of a part that is present."""
    return {"State": state, "Health": health}


ABSENT_STATUS: Final = {"State": "Absent"}


def link(uri: str) -> Document:
    """Returns a link."""
    return {"@odata.id": uri}


def links(uri: str, *names: str) -> Document:
    """Returns properties that link the resources with the same names below a URI."""
    return {name: link(f"{uri}/{name}") for name in names}


def resource(uri: str, schema: str, **properties: Any) -> Document:
    """Returns a resource; `schema` is its schema with the version, such as Thermal.v1_7_1."""
    resource_id = uri.rpartition("/")[2]
    name = schema.partition(".")[0]
    return {"@odata.id": uri, "@odata.type": f"#{schema}.{name}", "Id": resource_id, "Name": name, **properties}


def collection(uri: str, schema: str, uris: Sequence[str]) -> Document:
    """Returns a collection of the resources at some URIs."""
    return {
        "@odata.id": uri,
        "@odata.type": f"#{schema}Collection.{schema}Collection",
        "Name": f"{schema} Collection",
        "Members": [link(member) for member in uris],
        "Members@odata.count": len(uris),
    }


def members(
    uri: str, schema: str, resources: Mapping[str, DocumentSource], *, unlisted: DocumentTree | None = None
) -> dict[str, DocumentSource]:
    """Returns a collection with its members.

    Args:
        uri: URI of the collection.
        schema: Schema of the members, without a version.
        resources: Id → member.
        unlisted: Rest of the URI below the collection → resource that is no member, such as metrics of a member.
    """
    tree: dict[str, DocumentSource] = {uri: collection(uri, schema, [f"{uri}/{name}" for name in resources])}
    return tree | {f"{uri}/{path}": source for path, source in {**resources, **(unlisted or {})}.items()}


def service_documents(model: BmcModel) -> DocumentTree:
    """Returns the service root and the Managers."""
    features: Document = {"ExcerptQuery": False, "FilterQuery": False, "SelectQuery": False}
    if model.expand_levels is not None:
        supports_all = "*" in model.expand_forms
        features["ExpandQuery"] = {
            "ExpandAll": supports_all,
            "Levels": bool(model.expand_levels),
            "Links": supports_all and bool(model.expand_levels),
            "NoLinks": bool(model.expand_levels),
            **({"MaxLevels": model.expand_levels} if model.expand_levels else {}),
        }
    if model.one_request_at_a_time:
        features["MultipleHTTPRequests"] = False
    has_features = model.expand_levels is not None or model.one_request_at_a_time
    root = resource(
        ROOT,
        "ServiceRoot.v1_15_0",
        Id="RootService",
        RedfishVersion=model.redfish_version,
        UUID=UUID,
        **({"Vendor": model.vendor} if model.vendor else {}),
        **({"ProtocolFeaturesSupported": features} if has_features else {}),
        **links(ROOT, "Systems", "Chassis", "Managers", *(["SessionService"] if model.sessions else [])),
        Links={"Sessions": link(f"{ROOT}/SessionService/Sessions")} if model.sessions else {},
    )
    manager = resource(
        f"{ROOT}/Managers/{model.manager}",
        "Manager.v1_19_0",
        ManagerType="BMC",
        FirmwareVersion=model.firmware,
        Status=status(),
    )
    return {
        "/redfish": {"v1": f"{ROOT}/"},
        ROOT: root,
        **members(f"{ROOT}/Managers", "Manager", {model.manager: manager}),
    }
