"""Responses of one simulated BMC, according to its model, sessions and fault. No I/O; the time is an argument."""

from __future__ import annotations

import base64
import json
import secrets
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final, TypedDict
from urllib.parse import unquote

from rackstream.simulators.faults import InjectedFault
from rackstream.simulators.http import HttpRequest, SimulatedResponse
from rackstream.simulators.model import ROOT, Document, collection, link, resource
from rackstream.simulators.readings import SimulatedReadings
from rackstream.simulators.resource_tree import BadQuery, ResourceTree
from rackstream.simulators.sessions import SimulatedSessions

PUBLIC_PATHS: Final = ("/redfish", ROOT)
"""Resources that DSP0266 makes available without a login."""
SESSION_SERVICE: Final = f"{ROOT}/SessionService"
SESSIONS: Final = f"{SESSION_SERVICE}/Sessions"
SLOW_RESOURCES: Final = frozenset(
    {
        "Thermal",
        "Power",
        "ThermalSubsystem",
        "PowerSubsystem",
        "Sensors",
        "Processors",
        "Memory",
        "NetworkInterfaces",
        "NetworkAdapters",
        "Storage",
    }
)
"""Last segments of the URIs that take the full latency, as do the Systems: at least one in each category."""
FAST_LATENCY_SHARE: Final = 0.05
"""Share of the latency that all other resources take."""
JSON_HEADERS: Final = {"Content-Type": "application/json", "OData-Version": "4.0"}
GARBAGE: Final = b"\x00\xff<html><body>Please log in</body>"
MISSING_CODE: Final = "Base.1.8.ResourceMissingAtURI"


@dataclass(frozen=True, slots=True)
class SimulatedBmcSettings:
    """Settings that all BMCs of a fleet share."""

    username: str | None = None
    """User for Basic authentication and sessions; None for no authentication."""
    password: str = ""
    latency_s: float = 0.0
    """Response time of the slowest resources."""
    heat_period_s: float = 40.0
    session_limit: int = 8
    session_ttl_s: float = 1800.0


class BmcStatistics(TypedDict):
    """Requests and sessions of one BMC, or of several together."""

    requests: int
    answers: dict[str, int]
    """HTTP status → responses; "0" for requests without a response."""
    logins: int
    logouts: int
    sessions_open: int
    sessions_most: int
    """Most sessions open at once."""
    sessions_expired: int
    """Sessions that their clients abandoned."""
    sessions_refused: int


class SimulatedBmc:
    """Simulated BMC: responds to requests."""

    def __init__(
        self, number: int, tree: ResourceTree, settings: SimulatedBmcSettings, fault: InjectedFault | None = None
    ) -> None:
        self.number = number
        self.model = tree.model
        self.response_counts: Counter[int] = Counter()
        """HTTP status → responses; 0 for requests without a response."""
        self._tree = tree
        self._settings = settings
        self.sessions = SimulatedSessions(settings.session_limit, settings.session_ttl_s)
        self._basic = _basic(settings.username, settings.password) if settings.username else None
        self.fault: InjectedFault | None = None
        self.set_fault(fault)

    def set_fault(self, fault: InjectedFault | None) -> None:
        """Replaces the fault; None removes it."""
        self.fault = fault
        kind = fault.kind if fault else ""
        value = fault.value if fault else 0.0
        self.sessions.limit = int(value) if kind == "sessions" else self._settings.session_limit
        self.sessions.ttl_s = value if kind == "expiry" else self._settings.session_ttl_s
        self.sessions.leaks = kind == "leak"
        if kind == "dead":
            self.sessions.clear()

    def statistics(self) -> BmcStatistics:
        """Returns the requests and sessions so far."""
        sessions = self.sessions
        return {
            "requests": self.response_counts.total(),
            "answers": {str(code): count for code, count in sorted(self.response_counts.items())},
            "logins": sessions.opened,
            "logouts": sessions.closed,
            "sessions_open": len(sessions.ids),
            "sessions_most": sessions.max_open,
            "sessions_expired": sessions.expired,
            "sessions_refused": sessions.refused,
        }

    def respond(self, request: HttpRequest, elapsed_s: float) -> SimulatedResponse:
        """Returns the response at a time, in seconds since the BMC started."""
        path = unquote(request.path).rstrip("/")
        response = self._fault_response(path) or self._regular_response(request, path, elapsed_s)
        response = self._delayed(response, path)
        has_response = not response.reset and response.delay_s != float("inf")
        self.response_counts[response.status if has_response else 0] += 1
        return response

    def _fault_kind(self, path: str) -> str:
        """Returns the kind of fault that applies to a path; empty for none."""
        return self.fault.kind if self.fault and self.fault.path in path else ""

    def _fault_response(self, path: str) -> SimulatedResponse | None:
        """Returns the response of a fault that does not depend on the request."""
        kind = self._fault_kind(path)
        if kind == "hang":
            return SimulatedResponse(0, delay_s=float("inf"))
        if kind == "reset":
            return SimulatedResponse(0, reset=True)
        if kind == "401" and path not in PUBLIC_PATHS:
            return _unauthorized()
        if kind == "404":
            return _error(404, MISSING_CODE)
        if kind == "5xx" and self.fault:
            return _error(int(self.fault.value), "Base.1.8.InternalError")
        return None

    def _delayed(self, response: SimulatedResponse, path: str) -> SimulatedResponse:
        """Returns the response with its delay, and with the faults of its body."""
        latency_s = self._latency_s(path)
        kind = self._fault_kind(path)
        if not (kind and self.fault):
            return replace(response, delay_s=latency_s) if latency_s else response
        value = self.fault.value
        delay_s = response.delay_s + latency_s * (value if kind == "slow" else 1) + value * (kind == "latency")
        if kind in {"garbage", "empty"}:
            return replace(response, status=200, body=GARBAGE if kind == "garbage" else b"", delay_s=delay_s)
        return replace(response, delay_s=delay_s, cut=kind == "truncated", drip_s=value * (kind == "drip"))

    def _latency_s(self, path: str) -> float:
        parent, _, name = path.rpartition("/")
        is_slow = name in SLOW_RESOURCES or parent.endswith("/Systems")
        return self._settings.latency_s * (1 if is_slow else FAST_LATENCY_SHARE)

    def _regular_response(self, request: HttpRequest, path: str, elapsed_s: float) -> SimulatedResponse:
        if request.method == "POST" and path == SESSIONS and self.model.sessions:
            return self._log_in(request, elapsed_s)
        if not self._is_authorized(request, path, elapsed_s):
            return _unauthorized()
        if request.method == "DELETE" and path.startswith(f"{SESSIONS}/"):
            closed = self.sessions.close(path.rpartition("/")[2])
            return SimulatedResponse(204, headers=JSON_HEADERS) if closed else _error(404, MISSING_CODE)
        if request.method not in ("GET", "HEAD"):
            return _error(405, "Base.1.8.OperationNotAllowed", Allow="GET, HEAD")
        if self.model.trailing_slashes and request.path == ROOT:
            return SimulatedResponse(308, headers={"Location": f"{ROOT}/"})
        return self._resource(request, path, elapsed_s)

    def _resource(self, request: HttpRequest, path: str, elapsed_s: float) -> SimulatedResponse:
        body = self._session_document(path, elapsed_s) if self.model.sessions else None
        if body is None:
            readings = SimulatedReadings(self.number, elapsed_s, self._settings.heat_period_s)
            try:
                body = self._tree.body(path, unquote(request.query), readings)
            except BadQuery:
                return _error(400, "Base.1.8.QueryParameterValueFormatError")
        if body is None:
            return _error(404, MISSING_CODE)
        etag = self._tree.etag(body)
        if etag is None:
            return SimulatedResponse(200, body, JSON_HEADERS)
        if request.headers.get("if-none-match") == etag:
            return SimulatedResponse(304, headers={"ETag": etag})
        return SimulatedResponse(200, body, {**JSON_HEADERS, "ETag": etag})

    def _is_authorized(self, request: HttpRequest, path: str, elapsed_s: float) -> bool:
        if self._basic is None or path in PUBLIC_PATHS:
            return True
        if (token := request.headers.get("x-auth-token")) is not None:
            return self.sessions.accepts(token, elapsed_s)
        authorization = request.headers.get("authorization", "")
        return secrets.compare_digest(authorization.encode(), self._basic.encode())

    def _log_in(self, request: HttpRequest, elapsed_s: float) -> SimulatedResponse:
        try:
            login = json.loads(request.body)
            user_password = (login["UserName"], login["Password"])
        except (ValueError, TypeError, KeyError):
            return _error(400, "Base.1.8.MalformedJSON")
        if self._basic is not None and user_password != (self._settings.username, self._settings.password):
            return _unauthorized()
        opened = self.sessions.open(elapsed_s)
        if opened is None:
            return _error(503, self.model.sessions_full_code)
        session_id, token = opened
        uri = f"{SESSIONS}/{session_id}"
        body = json.dumps(_session(uri, self._settings.username)).encode()
        return SimulatedResponse(201, body, {**JSON_HEADERS, "X-Auth-Token": token, "Location": uri})

    def _session_document(self, path: str, elapsed_s: float) -> bytes | None:
        """Returns a document of the SessionService; None for other paths."""
        self.sessions.expire(elapsed_s)
        parent, _, session_id = path.rpartition("/")
        if path == SESSION_SERVICE:
            timeout_s = round(self.sessions.ttl_s)
            document = resource(path, "SessionService.v1_1_8", SessionTimeout=timeout_s, Sessions=link(SESSIONS))
        elif path == SESSIONS:
            document = collection(SESSIONS, "Session", [f"{SESSIONS}/{open_id}" for open_id in self.sessions.ids])
        elif parent == SESSIONS and session_id in self.sessions.ids:
            document = _session(path, self._settings.username)
        else:
            return None
        return json.dumps(document).encode()


def _session(uri: str, username: str | None) -> Document:
    return resource(uri, "Session.v1_5_0", UserName=username)


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _unauthorized() -> SimulatedResponse:
    return _error(401, "Base.1.8.NoValidSession", **{"WWW-Authenticate": 'Basic realm="redfish"'})


def _error(status: int, code: str, **headers: str) -> SimulatedResponse:
    body = {"error": {"code": code, "message": "See @Message.ExtendedInfo of a real BMC."}}
    return SimulatedResponse(status, json.dumps(body).encode(), {**JSON_HEADERS, **headers})
