"""Errors of one GET, and the mapping of HTTP statuses and library exceptions to them. Pure: no I/O.

RedfishError
├── Unreachable            the BMC does not answer: refused, TLS failure, no connection in time
│   ├── ConnectionBroken   the connection was reset; an idempotent request is sent once more
│   ├── ResponseTimeout    no response in time; the BMC may only be slow
│   └── DeadlineExceeded   the poll has no time left; says nothing about the BMC
├── Unauthorized           the BMC refuses the login (401): no request for a minute, then longer each time
├── ResourceMissing        this resource is not available: 404, 405, 410, a link to another host, …
│   └── Forbidden          403: a privilege or a licence is missing
└── BadResponse            the response is unusable: 5xx, empty, not JSON, cut off, too large
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from typing import ClassVar, Final, Self, TypeGuard

from urllib3.exceptions import ConnectTimeoutError, ProxyError
from urllib3.exceptions import TimeoutError as Timeout

from producers.redfish.documents import Json

TEMPORARY_STATUSES: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS}
)
MAX_MESSAGE_ID_CHARACTERS: Final = 80


class RedfishError(Exception):
    """A resource could not be read. `str()` is the cause: short, free of secrets, equal for equal failures."""

    kind: ClassVar[str]
    """Value of the label `kind` of `rackstream_source_faults_total`."""
    fresh = True
    """False if a cache repeats an earlier failure without a new request."""

    def as_cached(self) -> Self:
        """Returns a copy that is marked as the result of an earlier request."""
        copy = type(self)(*self.args)
        copy.fresh = False
        return copy


class Unreachable(RedfishError):
    """The BMC did not answer."""

    kind = "unreachable"


class ConnectionBroken(Unreachable):
    """The BMC closed or reset the connection."""

    kind = "reset"


class ResponseTimeout(Unreachable):
    """The BMC did not respond within the time-out of the request."""

    kind = "silent"

    def __init__(self, cause: str = "no answer in time") -> None:
        super().__init__(cause)


class DeadlineExceeded(Unreachable):
    """The poll has no time left for the request."""

    kind = "late"

    def __init__(self, cause: str = "no time left in this poll") -> None:
        super().__init__(cause)


class Unauthorized(RedfishError):
    """The BMC refused the credentials."""

    kind = "denied"


class ResourceMissing(RedfishError):
    """The BMC responds, but does not serve this resource."""

    kind = "missing"


class Forbidden(ResourceMissing):
    """The user lacks the privilege, or the BMC the licence, for this resource."""

    kind = "forbidden"


class BadResponse(RedfishError):
    """The BMC responds with something unusable."""

    kind = "broken"


ERROR_KINDS: Final = tuple(
    error.kind
    for error in (
        Unreachable,
        ConnectionBroken,
        ResponseTimeout,
        DeadlineExceeded,
        Unauthorized,
        ResourceMissing,
        Forbidden,
        BadResponse,
    )
)


def from_status(code: int) -> RedfishError | None:
    """Maps an HTTP status to an error; None for 2xx."""
    if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if code == HTTPStatus.UNAUTHORIZED:
        return Unauthorized("credentials refused (HTTP 401)")
    if code == HTTPStatus.FORBIDDEN:
        return Forbidden("HTTP 403")
    permanent = code < HTTPStatus.INTERNAL_SERVER_ERROR or code == HTTPStatus.NOT_IMPLEMENTED
    if permanent and code not in TEMPORARY_STATUSES:
        return ResourceMissing(f"HTTP {code}")
    return BadResponse(f"HTTP {code}")


EXCEPTION_CAUSES: Final[tuple[tuple[type[BaseException], type[Unreachable], str], ...]] = (
    (socket.gaierror, Unreachable, "name not resolved"),
    (ConnectionRefusedError, Unreachable, "connection refused"),
    (Timeout, ResponseTimeout, "no answer in time"),
    (TimeoutError, ResponseTimeout, "no answer in time"),
    (ConnectionError, ConnectionBroken, "connection reset"),  # also aborted, broken pipe, closed without a response
    (HTTPException, Unreachable, "answer is not HTTP"),
)
"""Python exception → error and cause; the first match counts."""


def message_ids(body: bytes) -> tuple[str, ...]:
    """Returns the message ids of a Redfish error response (DSP0266, 8.6), without the generic ones."""
    try:
        error = json.loads(body)["error"]
        ids = [error.get("code"), *(message.get("MessageId") for message in error.get("@Message.ExtendedInfo") or ())]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ()
    return tuple(dict.fromkeys(filter(_is_specific, ids)))


def _is_specific(message_id: Json) -> TypeGuard[str]:
    return (
        isinstance(message_id, str)
        and message_id.isprintable()
        and 0 < len(message_id) <= MAX_MESSAGE_ID_CHARACTERS
        and not message_id.endswith("GeneralError")
    )


def from_exception(exception: BaseException) -> RedfishError:
    """Maps an exception of urllib3 to an error.

    Only the innermost causes are specific; the text of the outer ones may contain a proxy's password.
    """
    causes = list(_cause_chain(exception))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(f"certificate not accepted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return Unreachable(f"TLS failed: {(cause.reason or 'unknown').replace('_', ' ').lower()}")
    if any(type(cause) is ConnectTimeoutError for cause in causes):  # its subclasses are other failures
        return Unreachable("no answer in time")
    proxy = "proxy: " if any(isinstance(cause, ProxyError) for cause in causes) else ""
    for cause in reversed(causes):
        for exception_type, error_type, text in EXCEPTION_CAUSES:
            if isinstance(cause, exception_type):
                return error_type(proxy + text)
        if isinstance(cause, OSError) and cause.strerror:
            return Unreachable(proxy + cause.strerror.lower())
    return Unreachable(proxy + type(exception).__name__)


def _cause_chain(exception: BaseException) -> Iterator[BaseException]:
    """Yields an exception and its causes, outermost first; urllib3 also keeps causes in `args` and `reason`."""
    queue, seen = [exception], set[int]()
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        causes = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        queue.extend(cause for cause in causes if isinstance(cause, BaseException))
