"""Probes one BMC: everything that the fleet's reader gets of it, and what it costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import ValidationError

from producers import redfish
from producers.fleet.config import RedfishTarget
from producers.reader import PollFailed
from producers.redfish.discovery import end_of
from producers.redfish.expand import members
from producers.redfish.http.client import Client
from producers.redfish.http.errors import Fault, Forbidden, Missing
from producers.redfish.mapping.table import at, text
from producers.redfish.quirks import Quirk, quirks
from producers.redfish.reader import CATEGORIES
from rackstream.probe.redfish_report import show
from rackstream.probe.target import Access
from runtime.errors import Misconfigured, Retry

__all__ = ["probe_target", "show", "target_of"]

Json = Mapping[str, Any]
OLD: Final = ("Thermal", "Power")
NEW: Final = ("ThermalSubsystem", "PowerSubsystem", "Sensors", "EnvironmentMetrics")
"""Links of a Chassis, by generation of the schemas."""
SLOWEST: Final = 5
"""Requests that are named."""
LOOPBACK: Final = ("http://127.", "http://localhost", "http://[::1]")


def target_of(uri: str, access: Access) -> RedfishTarget:
    """The target at a URL.

    Raises:
        Misconfigured: the URL, or what is said of the login, is of no use.
    """
    if (access.username is None) != (access.password is None):
        raise Misconfigured("a user and a password go together: give --username, and --password-env or --password-file")
    if access.username and uri.startswith("http:") and not uri.startswith(LOOPBACK):
        raise Misconfigured(f"a password over plain http is sent in the clear; use https: https{uri[4:]}")
    try:
        return RedfishTarget(
            host=uri.partition("://")[2].strip("/") or "bmc",
            address=uri,
            username=access.username,
            password=access.password,
            verify=access.verify,
        )
    except ValidationError:
        raise Misconfigured(f"{uri} is no address of a BMC: give https://HOST or https://HOST:PORT") from None


class Watched:
    """What the client was asked for, what came, and how long that took."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.Lock()
        self.documents: dict[str, Json] = {}
        self.times: list[tuple[float, str]] = []
        self.dead: dict[str, str] = {}
        client.watch = self._note

    def _note(self, link: str, took_s: float, found: Json | Fault) -> None:
        with self._lock:
            self.times.append((took_s, link))
            if isinstance(found, Missing):
                self.dead[link] = str(found)
            elif not isinstance(found, Fault):
                self.documents[link] = found


def probe_target(target: RedfishTarget, timeout_s: float) -> dict[str, Any]:
    """Reads a BMC once; `timeout_s` seconds are for each category.

    Raises:
        Misconfigured: it refuses the login, or its certificate is not accepted.
        Retry: it does not answer, or not as a Redfish service does.
    """
    client = redfish.client_of(target)
    watched = Watched(client)
    try:
        reader = redfish.RedfishReader(target.host, client, labels={}, intervals={})
        try:
            root = reader.discover(timeout_s)
            categories = {name: _category(reader, client, name, timeout_s) for name in CATEGORIES}
        except PollFailed as failed:
            raise _failure(failed) from None
        deadline_s = time.monotonic() + timeout_s
        return {
            "source": "redfish",
            "address": client.origin,
            "whole": all(not category["failed"] for category in categories.values()),
            "identity": _identity(root, categories, client, deadline_s),
            "generation": _generation(watched.documents),
            "auth": {"way": client.auth, "why_basic": client.why_basic or None},
            "expand": at(root, "ProtocolFeaturesSupported/ExpandQuery"),
            "several_requests_at_once": client.at_once > 1,
            "categories": categories,
            "telemetry": _telemetry(root, client, deadline_s),
            "events": _events(root, client, deadline_s),
            "requests": _requests(client, watched),
            "quirks": [asdict(quirk) for quirk in _quirks(root, client, watched)],
        }
    finally:
        client.close()


def _category(reader: redfish.RedfishReader, client: Client, name: str, timeout_s: float) -> dict[str, Any]:
    requests, began_s = client.requests, time.monotonic()
    failed, errors, arrays = None, [], {}
    try:
        sample = reader.read(name, timeout_s)
    except PollFailed as fault:
        if fault.status == "auth_failed":
            raise
        failed = str(fault)
    else:
        errors = sample.problems.as_records()
        arrays = {each: sample.body[each] for each in dict.fromkeys(table.record for table in CATEGORIES[name])}
    return {
        "failed": failed,
        "requests": client.requests - requests,
        "seconds": round(time.monotonic() - began_s, 3),
        **arrays,
        "errors": errors,
    }


def _failure(failed: PollFailed) -> Misconfigured | Retry:
    if failed.status == "auth_failed":
        return Misconfigured(f"{failed}: check --username and the password, or the host's entry in the fleet file")
    if "certificate not accepted" in str(failed):
        return Misconfigured(f"{failed}: give its CA by --ca FILE, or --insecure not to check it")
    return Retry(f"{failed}: is this a BMC's address, and is it reachable from here?")


def _identity(root: Json, categories: Mapping[str, Any], client: Client, deadline_s: float) -> dict[str, Any]:
    system: Json = next(iter(categories["system"].get("systems", [])), {})
    managers = _got(client, text(at(root, "Managers/@odata.id")), deadline_s)
    manager = _got(client, next(_uris(managers), None), deadline_s)
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


def _uris(collection: Json) -> Iterator[str]:
    return (uri for member in members(collection) if (uri := text(member.get("@odata.id"))))


def _generation(documents: Mapping[str, Json]) -> str | None:
    linked = {
        name for document in documents.values() for name in (*OLD, *NEW) if text(at(document, f"{name}/@odata.id"))
    }
    found = [name for name, links in (("old", OLD), ("new", NEW)) if linked & {*links}]
    return " and ".join(found) or None


def _telemetry(root: Json, client: Client, deadline_s: float) -> dict[str, Any]:
    """What could be read instead of single sensors. Only listed: one report may be 400 kB."""
    service = _got(client, text(at(root, "TelemetryService/@odata.id")), deadline_s)
    reports = _got(client, text(at(service, "MetricReports/@odata.id")), deadline_s)
    return {
        "enabled": service.get("ServiceEnabled") if service else None,
        "metric_reports": sorted(map(end_of, _uris(reports))),
    }


def _events(root: Json, client: Client, deadline_s: float) -> dict[str, Any]:
    service = _got(client, text(at(root, "EventService/@odata.id")), deadline_s)
    kinds = service.get("EventFormatTypes") or service.get("EventTypesForSubscription")
    return {
        "enabled": service.get("ServiceEnabled") if service else None,
        "formats": kinds if isinstance(kinds, list) else [],
        "server_sent": text(service.get("ServerSentEventUri")),
        "registries": each if isinstance(each := service.get("RegistryPrefixes"), list) else [],
    }


def _got(client: Client, link: str | None, deadline_s: float) -> Json:
    """A resource, empty where there is none."""
    try:
        return client.get(link, deadline_s) if link else {}
    except Fault:
        return {}


def _requests(client: Client, watched: Watched) -> dict[str, Any]:
    slowest = sorted(watched.times, reverse=True)[:SLOWEST]
    return {
        "count": client.requests,
        "seconds": round(client.request_s, 3),
        "mean_s": round(client.request_s / max(1, client.requests), 4),
        "slowest": [{"link": link, "seconds": round(took_s, 3)} for took_s, link in slowest],
        "faults": dict(client.faults),
        "logins": client.logins,
        "spared_by_etags": client.etags.spared,
    }


def _quirks(root: Json, client: Client, watched: Watched) -> list[Quirk]:
    """Of the documents, and of how they came."""
    found = quirks(watched.documents)
    forbidden = [link for link, cause in watched.dead.items() if cause == str(Forbidden("HTTP 403"))]
    dead = [link for link in watched.dead if link not in forbidden]
    if dead:
        found.append(Quirk("dead links", len(dead), dead[0]))
    if forbidden:
        found.append(Quirk("resources that this user or licence may not read", len(forbidden), forbidden[0]))
    if client.why_basic:
        found.append(Quirk("no session, Basic authentication instead", 1, client.why_basic))
    if client.at_once == 1:
        found.append(Quirk("takes one request at a time", 1, "MultipleHTTPRequests, or HTTP 503 to several"))
    if not client.etags.believed:
        found.append(Quirk("ETags that are of no use", 1, "asked for without them"))
    if not text(root.get("Vendor")):
        found.append(Quirk("the service root names no vendor", 1, "/redfish/v1/"))
    return found
