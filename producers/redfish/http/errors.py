"""What can go wrong with one GET, and what it means. Pure: no I/O.

Fault
├── Unreachable    the BMC does not answer: refused, TLS failure, no connection in time
│   ├── Reset      the connection broke, so that the request may be sent once more
│   ├── Silent     there is no answer in time, from a BMC that may only be slow
│   └── Late       the poll has no time left: says nothing of the BMC
├── Denied         the BMC refuses the login (401): nothing is asked again for a minute, then ever longer
├── Missing        this resource is not to be had: 404, 405, 410, a link to another origin, …
│   └── Forbidden  403: a right or a licence is missing
└── Broken         this answer is unusable: 5xx, empty, no JSON, cut off, too large
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final, Self

from urllib3.exceptions import ConnectTimeoutError, ProxyError
from urllib3.exceptions import TimeoutError as Timeout

TEMPORARY: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS}
)


class Fault(Exception):
    """A resource was not got. `str()` is the cause: short, without secrets, the same for all faults of its kind."""

    fresh = True
    """Of a request just made, not remembered from one before."""

    def remembered(self) -> Self:
        """The same, for those who will not ask again."""
        copy = type(self)(*self.args)
        copy.fresh = False
        return copy


def kinds() -> list[str]:
    """What faults are counted under."""
    return [kind_of(each) for each in (Unreachable, Reset, Silent, Late, Denied, Missing, Forbidden, Broken)]


def kind_of(fault: type[Fault]) -> str:
    """What a class of faults is counted under."""
    return fault.__name__.lower()


class Unreachable(Fault):
    """The BMC did not answer."""


class Reset(Unreachable):
    """The BMC broke the connection off."""


class Silent(Unreachable):
    """The BMC did not answer in the time there was."""

    def __init__(self, cause: str = "no answer in time") -> None:
        super().__init__(cause)


class Late(Unreachable):
    """The poll had no time left."""

    def __init__(self, cause: str = "no time left in this poll") -> None:
        super().__init__(cause)


class Denied(Fault):
    """The BMC refused the credentials."""


class Missing(Fault):
    """The BMC answers, and does not give this resource."""


class Forbidden(Missing):
    """This user may not read it, or a licence is missing."""


class Broken(Fault):
    """The BMC answers, and this answer is of no use."""


def of_status(code: int) -> Fault | None:
    """What an HTTP status means; None if the body is what was asked for."""
    if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if code == HTTPStatus.UNAUTHORIZED:
        return Denied("credentials refused (HTTP 401)")
    if code == HTTPStatus.FORBIDDEN:
        return Forbidden("HTTP 403")
    lasting = code < HTTPStatus.INTERNAL_SERVER_ERROR or code == HTTPStatus.NOT_IMPLEMENTED
    return Missing(f"HTTP {code}") if lasting and code not in TEMPORARY else Broken(f"HTTP {code}")


MEANING: Final[tuple[tuple[type[BaseException], type[Unreachable], str], ...]] = (
    (socket.gaierror, Unreachable, "name not resolved"),
    (ConnectionRefusedError, Unreachable, "connection refused"),
    (Timeout, Silent, "no answer in time"),
    (TimeoutError, Silent, "no answer in time"),
    (ConnectionError, Reset, "connection reset"),  # also aborted, broken pipe, closed without an answer
    (HTTPException, Unreachable, "answer is not HTTP"),
)
"""Python's exceptions → what they mean; the first that fits."""


def message_ids(body: bytes) -> tuple[str, ...]:
    """Ids of the messages in an answer that is an error, but for those that say nothing: DSP0266, 8.6."""
    try:
        error = json.loads(body)["error"]
        told = [error.get("code"), *(each.get("MessageId") for each in error.get("@Message.ExtendedInfo") or ())]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ()
    return tuple(dict.fromkeys(each for each in told if _tells(each)))


def _tells(id_: Any) -> bool:
    return isinstance(id_, str) and id_.isprintable() and 0 < len(id_) <= 80 and not id_.endswith("GeneralError")


def of_error(error: BaseException) -> Fault:
    """What an exception of urllib3 means. Only its innermost causes tell; its text may name a proxy's password."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(f"certificate not accepted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return Unreachable(f"TLS failed: {(cause.reason or 'unknown').replace('_', ' ').lower()}")
    if any(type(cause) is ConnectTimeoutError for cause in causes):  # its heirs are other failures
        return Unreachable("no answer in time")
    proxy = "proxy: " if any(isinstance(cause, ProxyError) for cause in causes) else ""
    for cause in reversed(causes):
        for kind, fault, words in MEANING:
            if isinstance(cause, kind):
                return fault(proxy + words)
        if isinstance(cause, OSError) and cause.strerror:
            return Unreachable(proxy + cause.strerror.lower())
    return Unreachable(proxy + type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what caused it, outermost first; urllib3 keeps causes also in `args` and `reason`."""
    queue, seen = [error], set[int]()
    while queue:
        each = queue.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        queue.extend(cause for cause in inner if isinstance(cause, BaseException))
