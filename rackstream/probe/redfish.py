"""Probes one BMC: everything that the fleet's reader gets from it, and what that costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TypedDict

from pydantic import ValidationError

from producers import redfish
from producers.fleet.targets import RedfishTarget
from producers.fleet.validation import is_loopback
from producers.reader import PollFailed
from producers.redfish.documents import Json, JsonObject, last_segment, link_at, text, uri_of, value_at
from producers.redfish.expand import members
from producers.redfish.http.client import RedfishClient
from producers.redfish.http.errors import Forbidden, RedfishError, ResourceMissing
from producers.redfish.quirks import Quirk, find_quirks
from producers.redfish.reader import CATEGORIES
from rackstream.probe.redfish_report import show
from rackstream.probe.target import LoginOptions
from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from schemas.records import PollError

__all__ = ["probe_target", "show", "target_of"]

LEGACY_LINKS: Final = ("Thermal", "Power")
SUBSYSTEM_LINKS: Final = ("ThermalSubsystem", "PowerSubsystem", "Sensors", "EnvironmentMetrics")
"""Links of a Chassis, by generation of the schemas."""
SLOWEST: Final = 5
"""Requests that are listed."""


class IdentityProbe(TypedDict):
    """Identity of a BMC and its server."""

    vendor: str | None
    model: str | None
    serial_number: str | None
    product: str | None
    bmc: str | None
    bmc_firmware: str | None
    redfish_version: str | None
    service_uuid: str | None


class RequestsProbe(TypedDict):
    """Cost of the probe."""

    count: int
    seconds: float
    mean_s: float
    slowest: list[Mapping[str, str | float]]
    faults: dict[str, int]
    logins: int
    spared_by_etags: int


class RedfishProbe(TypedDict):
    """Result of probing a BMC."""

    source: str
    address: str
    whole: bool
    identity: IdentityProbe
    generation: str | None
    auth: Mapping[str, str | None]
    expand: Json
    several_requests_at_once: bool
    categories: Mapping[str, CategoryProbe]
    telemetry: Mapping[str, Json]
    events: Mapping[str, Json]
    requests: RequestsProbe
    quirks: list[dict[str, Any]]


CategoryProbe = Mapping[str, Any]
"""`failed`, `requests`, `seconds`, `errors`, and the arrays of the category's records."""


def target_of(uri: str, login: LoginOptions) -> RedfishTarget:
    """Creates the target at a URL.

    Raises:
        Misconfigured: The URL or the login options are invalid.
    """
    if (login.username is None) != (login.password is None):
        raise Misconfigured("a user and a password go together: give --username, and --password-env or --password-file")
    if login.username and uri.startswith("http:") and not is_loopback(uri):
        raise Misconfigured(f"a password over plain http is sent in the clear; use https: https{uri[4:]}")
    try:
        return RedfishTarget(
            host=uri.partition("://")[2].strip("/") or "bmc",
            address=uri,
            username=login.username,
            password=login.password,
            verify=login.verify,
        )
    except ValidationError as error:
        reason = "; ".join(
            problem["msg"].removeprefix("Value error, ") for problem in error.errors(include_input=False)
        )
        raise Misconfigured(
            f"{uri} is not the address of a BMC: give https://HOST or https://HOST:PORT ({reason})"
        ) from None


class RequestRecorder:
    """Records the documents and durations of a client's requests."""

    def __init__(self, client: RedfishClient) -> None:
        self._lock = threading.Lock()
        self.documents: dict[str, JsonObject] = {}
        """Link → document."""
        self.durations: list[tuple[float, str]] = []
        """Seconds and link of each request."""
        self.missing: dict[str, str] = {}
        """Link → why it could not be read."""
        client.observer = self._record

    def _record(self, link: str, duration_s: float, result: JsonObject | RedfishError) -> None:
        with self._lock:
            self.durations.append((duration_s, link))
            if isinstance(result, ResourceMissing):
                self.missing[link] = str(result)
            elif not isinstance(result, RedfishError):
                self.documents[link] = result


def probe_target(target: RedfishTarget, timeout_s: float) -> RedfishProbe:
    """Reads a BMC once, with a timeout of `timeout_s` seconds per category.

    Raises:
        Misconfigured: It rejects the login, or its certificate is not accepted.
        Retry: It does not answer, or not as a Redfish service.
    """
    client = redfish.create_client(target)
    recorder = RequestRecorder(client)
    try:
        reader = redfish.RedfishReader(target.host, client, labels={}, intervals={})
        try:
            root = reader.discover(timeout_s)
            categories = {name: _category(reader, client, name, timeout_s) for name in CATEGORIES}
        except PollFailed as failure:
            raise _failure(failure, target) from None
        deadline_s = time.monotonic() + timeout_s
        return {
            "source": "redfish",
            "address": client.base_url,
            "whole": all(not category["failed"] for category in categories.values()),
            "identity": _identity(root, categories, client, deadline_s),
            "generation": _generation(recorder.documents),
            "auth": {"way": client.auth, "why_basic": client.basic_reason or None},
            "expand": value_at(root, "ProtocolFeaturesSupported/ExpandQuery"),
            "several_requests_at_once": client.max_concurrent > 1,
            "categories": categories,
            "telemetry": _telemetry(root, client, deadline_s),
            "events": _events(root, client, deadline_s),
            "requests": _requests(client, recorder),
            "quirks": [asdict(quirk) for quirk in _quirks(root, client, recorder)],
        }
    finally:
        client.close()


def _category(reader: redfish.RedfishReader, client: RedfishClient, name: str, timeout_s: float) -> CategoryProbe:
    requests, started_s = client.requests, time.monotonic()
    failed: str | None = None
    errors: Sequence[PollError] = ()
    arrays: Mapping[str, object] = {}
    try:
        sample = reader.read(name, timeout_s)
    except PollFailed as failure:
        if failure.status == "auth_failed":
            raise
        failed = str(failure)
    else:
        errors = sample.problems.as_records()
        fields = dict.fromkeys(table.record_field for table in CATEGORIES[name])
        arrays = {field: sample.body[field] for field in fields}
    return {
        "failed": failed,
        "requests": client.requests - requests,
        "seconds": round(time.monotonic() - started_s, 3),
        **arrays,
        "errors": [*errors],
    }


def _failure(failure: PollFailed, target: RedfishTarget) -> Misconfigured | Retry:
    if failure.status == "auth_failed" and target.username is None:
        return Misconfigured(
            "this BMC asks for a login: give --username and --password-env, or a username in the fleet file"
        )
    if failure.status == "auth_failed":
        return Misconfigured(f"{failure}: check --username and the password, or the host's entry in the fleet file")
    if "certificate not accepted" in str(failure):
        return Misconfigured(f"{failure}: set its CA with --ca FILE, or skip verification with --insecure")
    return Retry(f"{failure}: is this a BMC's address, and is it reachable from here?")


def _identity(
    root: JsonObject, categories: Mapping[str, CategoryProbe], client: RedfishClient, deadline_s: float
) -> IdentityProbe:
    system: JsonObject = next(iter(categories["system"].get("systems", [])), {})
    managers = _get_or_empty(client, link_at(root, "Managers"), deadline_s)
    manager = _get_or_empty(client, next(_member_uris(managers), None), deadline_s)
    return {
        "vendor": text(root.get("Vendor")) or system.get("manufacturer"),
        "model": system.get("model"),
        "serial_number": system.get("serial_number"),
        "product": text(root.get("Product")),
        "bmc": text(manager.get("Model")),
        "bmc_firmware": text(manager.get("FirmwareVersion")),
        "redfish_version": text(root.get("RedfishVersion")),
        "service_uuid": text(root.get("UUID")),
    }


def _member_uris(collection: JsonObject) -> Iterator[str]:
    return (uri for member in members(collection) if (uri := uri_of(member)))


def _generation(documents: Mapping[str, JsonObject]) -> str | None:
    names = {
        name for document in documents.values() for name in (*LEGACY_LINKS, *SUBSYSTEM_LINKS) if link_at(document, name)
    }
    generations = (("old", LEGACY_LINKS), ("new", SUBSYSTEM_LINKS))
    return " and ".join(generation for generation, links in generations if names & {*links}) or None


def _telemetry(root: JsonObject, client: RedfishClient, deadline_s: float) -> Mapping[str, Json]:
    """Lists the metric reports, which could be read instead of single sensors.

    One may be 400 kB.
    """
    service = _get_or_empty(client, link_at(root, "TelemetryService"), deadline_s)
    reports = _get_or_empty(client, link_at(service, "MetricReports"), deadline_s)
    return {
        "enabled": service.get("ServiceEnabled") if service else None,
        "metric_reports": sorted(map(last_segment, _member_uris(reports))),
    }


def _events(root: JsonObject, client: RedfishClient, deadline_s: float) -> Mapping[str, Json]:
    service = _get_or_empty(client, link_at(root, "EventService"), deadline_s)
    formats = service.get("EventFormatTypes") or service.get("EventTypesForSubscription")
    registries = service.get("RegistryPrefixes")
    return {
        "enabled": service.get("ServiceEnabled") if service else None,
        "formats": formats if isinstance(formats, list) else [],
        "server_sent": text(service.get("ServerSentEventUri")),
        "registries": registries if isinstance(registries, list) else [],
    }


def _get_or_empty(client: RedfishClient, link: str | None, deadline_s: float) -> JsonObject:
    """Reads a resource; empty if there is none."""
    try:
        return client.get(link, deadline_s) if link else {}
    except RedfishError:
        return {}


def _requests(client: RedfishClient, recorder: RequestRecorder) -> RequestsProbe:
    slowest = sorted(recorder.durations, reverse=True)[:SLOWEST]
    return {
        "count": client.requests,
        "seconds": round(client.request_s, 3),
        "mean_s": round(client.request_s / max(1, client.requests), 4),
        "slowest": [{"link": link, "seconds": round(duration_s, 3)} for duration_s, link in slowest],
        "faults": dict(client.error_counts),
        "logins": client.logins,
        "spared_by_etags": client.etags.hits,
    }


def _quirks(root: JsonObject, client: RedfishClient, recorder: RequestRecorder) -> list[Quirk]:
    """Lists the quirks of the documents, and of the requests for them."""
    found_quirks = find_quirks(recorder.documents)
    forbidden = [link for link, cause in recorder.missing.items() if cause == str(Forbidden("HTTP 403"))]
    dead = [link for link in recorder.missing if link not in forbidden]
    if dead:
        found_quirks.append(Quirk("dead links", len(dead), dead[0]))
    if forbidden:
        found_quirks.append(Quirk("resources that this user or licence may not read", len(forbidden), forbidden[0]))
    if client.basic_reason:
        found_quirks.append(Quirk("no session, Basic authentication instead", 1, client.basic_reason))
    if client.max_concurrent == 1:
        found_quirks.append(Quirk("takes one request at a time", 1, "MultipleHTTPRequests, or HTTP 503 to several"))
    if not client.etags.trusted:
        found_quirks.append(Quirk("unusable ETags", 1, "requests are made without them"))
    if not text(root.get("Vendor")):
        found_quirks.append(Quirk("the service root names no vendor", 1, "/redfish/v1/"))
    return found_quirks
