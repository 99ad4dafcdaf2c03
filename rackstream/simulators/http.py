"""HTTP/1.1 of a simulated BMC, one object per connection: requests in, answers out, and what goes wrong on the way.

Knows no Redfish. By hand, since servers are made not to hang, cut off and drip; and a thousand of them are to be cheap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

HEAD_BYTES: Final = 2**16
BODY_BYTES: Final = 2**16
"""A longer request is broken off; a login is the longest that is meant."""
PIECES: Final = 40
"""In which a dripped body is sent."""
REASONS: Final = {each.value: each.phrase for each in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, and how it is given."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    """How long it takes; `inf`: it never comes."""
    drip_s: float = 0.0
    """Over how long its body is spread."""
    cut: bool = False
    """Half of the body, then the connection ends."""
    reset: bool = False
    """No answer at all: the connection is reset."""

    def head(self, *, close: bool) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, '')}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Connection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, answer: Callable[[Request], Answer], open_ones: set[Connection]) -> None:
        self._answer = answer
        self._open_ones = open_ones
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's signature
        """The client is gone."""
        self._open_ones.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Some of a request."""
        self._buffer += data
        if not self._busy:
            self._next()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        """Answers the request that is in the buffer, if it is there whole."""
        try:
            request = self._request()
        except ValueError:
            self._give(Answer(400), close=True)
            return
        if request is None:
            return
        close = request.headers.get("connection", "").lower() == "close"
        answer = self._answer(request)
        self._busy = True
        if answer.after_s == float("inf"):
            return
        loop = asyncio.get_running_loop()
        if answer.after_s > 0:
            self._timer = loop.call_later(
                answer.after_s, lambda: self._give(answer, close=close, method=request.method)
            )
        else:
            self._give(answer, close=close, method=request.method)

    def _request(self) -> Request | None:
        """The next request, taken from the buffer; None: it is not there whole yet."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_BYTES:
                raise ValueError("head too long")
            return None
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, target, _ = first.split(" ", 2)
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= BODY_BYTES or "transfer-encoding" in headers:
            raise ValueError("body of an unusual kind")
        if len(self._buffer) < end + 4 + length:
            return None
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body)

    def _give(self, answer: Answer, *, close: bool, method: str = "GET") -> None:
        if self._transport is None:
            return
        if answer.reset:
            self._transport.abort()
            return
        body = b"" if method == "HEAD" else answer.body
        if answer.drip_s and body:
            self._transport.write(answer.head(close=close))
            self._drip(body, answer.drip_s / PIECES, -(-len(body) // PIECES), close=close)
        elif answer.cut:
            self._transport.write(answer.head(close=close) + body[: len(body) // 2])
            self._transport.close()
        else:
            self._transport.write(answer.head(close=close) + body)
            self._done(close=close)

    def _drip(self, body: bytes, pause_s: float, size: int, *, close: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(body[:size])
        if rest := body[size:]:
            later = asyncio.get_running_loop().call_later
            self._timer = later(pause_s, lambda: self._drip(rest, pause_s, size, close=close))
        else:
            self._done(close=close)

    def _done(self, *, close: bool) -> None:
        self._busy = False
        if close and self._transport is not None:
            self._transport.close()
        elif self._buffer:
            self._next()
