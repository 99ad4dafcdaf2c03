"""One simulated BMC: what it answers, by its shape, its sessions and its fault. No I/O; the time is an argument."""

from __future__ import annotations

import base64
import json
import secrets
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from rackstream.simulators.faults import Fault
from rackstream.simulators.http import Answer, Request
from rackstream.simulators.model import ROOT, collection, link, resource
from rackstream.simulators.readings import Moment
from rackstream.simulators.resource_tree import BadQuery, Tree
from rackstream.simulators.sessions import Sessions

OPEN: Final = ("/redfish", ROOT)
"""What DSP0266 serves without a login."""
SERVICE: Final = f"{ROOT}/SessionService"
SESSIONS: Final = f"{SERVICE}/Sessions"
SLOWEST: Final = frozenset(
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
"""Ends of the URIs that BMCs take longest for, at least one in each category; and the Systems themselves."""
USUAL: Final = 0.05
"""The share of the longest time that all others take."""
JSON: Final = {"Content-Type": "application/json", "OData-Version": "4.0"}
GARBAGE: Final = b"\x00\xff<html><body>Please log in</body>"


@dataclass(frozen=True, slots=True)
class Manner:
    """What all BMCs of a fleet have in common."""

    username: str | None = None
    password: str = ""
    latency_s: float = 0.0
    """How long the slowest answers take."""
    heat_period_s: float = 40.0
    session_limit: int = 8
    session_ttl_s: float = 1800.0


class Bmc:
    """One BMC."""

    def __init__(self, number: int, tree: Tree, manner: Manner, fault: Fault | None = None) -> None:
        self.number = number
        self.shape = tree.shape
        self.answers: Counter[int] = Counter()
        """HTTP status → answers; 0: none was given."""
        self._tree = tree
        self._manner = manner
        self.sessions = Sessions(manner.session_limit, manner.session_ttl_s)
        self._login = _basic(manner.username, manner.password) if manner.username else None
        self.fault: Fault | None = None
        self.suffer(fault)

    def suffer(self, fault: Fault | None) -> None:
        """Has this fault from now on, and no other."""
        self.fault = fault
        kind = fault.kind if fault else ""
        value = fault.value if fault else 0.0
        self.sessions.limit = int(value) if kind == "sessions" else self._manner.session_limit
        self.sessions.ttl_s = value if kind == "expiry" else self._manner.session_ttl_s
        self.sessions.leaks = kind == "leak"
        if kind == "dead":
            self.sessions.forget()

    def counts(self) -> dict[str, Any]:
        """What was asked of it so far."""
        sessions = self.sessions
        return {
            "requests": self.answers.total(),
            "answers": {str(code): count for code, count in sorted(self.answers.items())},
            "logins": sessions.opened,
            "logouts": sessions.closed,
            "sessions_open": len(sessions.ids),
            "sessions_most": sessions.most,
            "sessions_expired": sessions.expired,
            "sessions_refused": sessions.refused,
        }

    def answer(self, request: Request, at_s: float) -> Answer:
        """What it says at a time, seconds since its start."""
        path = unquote(request.path).rstrip("/")
        answer = self._faulty(path) or self._right(request, path, at_s)
        answer = self._late(answer, path)
        self.answers[0 if answer.reset or answer.after_s == float("inf") else answer.status] += 1
        return answer

    def _has(self, path: str) -> str:
        """The kind of fault that this path has."""
        return self.fault.kind if self.fault and self.fault.path in path else ""

    def _faulty(self, path: str) -> Answer | None:
        """An answer that has nothing to do with the question."""
        kind = self._has(path)
        if kind == "hang":
            return Answer(0, after_s=float("inf"))
        if kind == "reset":
            return Answer(0, reset=True)
        if kind == "401" and path not in OPEN:
            return _unauthorised()
        if kind == "404":
            return _error(404, "Base.1.8.ResourceMissingAtURI")
        if kind == "5xx" and self.fault:
            return _error(int(self.fault.value), "Base.1.8.InternalError")
        return None

    def _late(self, answer: Answer, path: str) -> Answer:
        """The answer, with the time it takes and what is wrong with its body."""
        usual_s = self._usual_s(path)
        kind = self._has(path)
        if not (kind and self.fault):
            return replace(answer, after_s=usual_s) if usual_s else answer
        value = self.fault.value
        after_s = answer.after_s + usual_s * (value if kind == "slow" else 1) + value * (kind == "latency")
        if kind in {"garbage", "empty"}:
            return replace(answer, status=200, body=GARBAGE if kind == "garbage" else b"", after_s=after_s)
        return replace(answer, after_s=after_s, cut=kind == "truncated", drip_s=value * (kind == "drip"))

    def _usual_s(self, path: str) -> float:
        above, _, end = path.rpartition("/")
        longest = end in SLOWEST or above.endswith("/Systems")
        return self._manner.latency_s * (1 if longest else USUAL)

    def _right(self, request: Request, path: str, at_s: float) -> Answer:
        if request.method == "POST" and path == SESSIONS and self.shape.sessions:
            return self._open(request, at_s)
        if not self._admits(request, path, at_s):
            return _unauthorised()
        if request.method == "DELETE" and path.startswith(f"{SESSIONS}/"):
            closed = self.sessions.close(path.rpartition("/")[2])
            return Answer(204, headers=JSON) if closed else _error(404, "Base.1.8.ResourceMissingAtURI")
        if request.method not in ("GET", "HEAD"):
            return _error(405, "Base.1.8.OperationNotAllowed", Allow="GET, HEAD")
        if self.shape.slashes and request.path == ROOT:
            return Answer(308, headers={"Location": f"{ROOT}/"})
        return self._document(request, path, at_s)

    def _document(self, request: Request, path: str, at_s: float) -> Answer:
        body = self._of_sessions(path, at_s) if self.shape.sessions else None
        if body is None:
            moment = Moment(self.number, at_s, self._manner.heat_period_s)
            try:
                body = self._tree.body(path, unquote(request.query), moment)
            except BadQuery:
                return _error(400, "Base.1.8.QueryParameterValueFormatError")
        if body is None:
            return _error(404, "Base.1.8.ResourceMissingAtURI")
        etag = self._tree.etag(body)
        if etag is None:
            return Answer(200, body, JSON)
        if request.headers.get("if-none-match") == etag:
            return Answer(304, headers={"ETag": etag})
        return Answer(200, body, {**JSON, "ETag": etag})

    def _admits(self, request: Request, path: str, at_s: float) -> bool:
        if self._login is None or path in OPEN:
            return True
        if (token := request.headers.get("x-auth-token")) is not None:
            return self.sessions.accepts(token, at_s)
        given = request.headers.get("authorization", "")
        return secrets.compare_digest(given.encode(), self._login.encode())

    def _open(self, request: Request, at_s: float) -> Answer:
        """A login."""
        try:
            told = json.loads(request.body)
            pair = (told["UserName"], told["Password"])
        except (ValueError, TypeError, KeyError):
            return _error(400, "Base.1.8.MalformedJSON")
        if self._login is not None and pair != (self._manner.username, self._manner.password):
            return _unauthorised()
        opened = self.sessions.open(at_s)
        if opened is None:
            return _error(503, self.shape.full)
        ident, token = opened
        uri = f"{SESSIONS}/{ident}"
        body = json.dumps(_session(uri, self._manner.username)).encode()
        return Answer(201, body, {**JSON, "X-Auth-Token": token, "Location": uri})

    def _of_sessions(self, path: str, at_s: float) -> bytes | None:
        """A document of the SessionService."""
        self.sessions.expire(at_s)
        above, _, ident = path.rpartition("/")
        if path == SERVICE:
            timeout_s = round(self.sessions.ttl_s)
            found = resource(SERVICE, "SessionService.v1_1_8", SessionTimeout=timeout_s, Sessions=link(SESSIONS))
        elif path == SESSIONS:
            found = collection(SESSIONS, "Session", [f"{SESSIONS}/{each}" for each in self.sessions.ids])
        elif above == SESSIONS and ident in self.sessions.ids:
            found = _session(path, self._manner.username)
        else:
            return None
        return json.dumps(found).encode()


def _session(uri: str, username: str | None) -> dict[str, Any]:
    return resource(uri, "Session.v1_5_0", UserName=username)


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _unauthorised() -> Answer:
    return _error(401, "Base.1.8.NoValidSession", **{"WWW-Authenticate": 'Basic realm="redfish"'})


def _error(status: int, code: str, **headers: str) -> Answer:
    body = {"error": {"code": code, "message": "See @Message.ExtendedInfo of a real BMC."}}
    return Answer(status, json.dumps(body).encode(), {**JSON, **headers})
