"""HTTP/1.1 server side of a simulated BMC, one object per connection, including faults of the transmission.

Independent of Redfish. Written by hand, because HTTP servers are made not to hang, truncate or drip, and a thousand
BMCs have to be cheap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

MAX_HEAD_BYTES: Final = 2**16
MAX_BODY_BYTES: Final = 2**16
"""Longer requests are rejected; a login is the longest expected one."""
DRIP_CHUNKS: Final = 40
"""Number of pieces in which a dripped body is sent."""
REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A complete request."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class SimulatedResponse:
    """A response, and how it is transmitted."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Time until it is sent; `inf` for never."""
    drip_s: float = 0.0
    """Duration over which the body is sent."""
    cut: bool = False
    """Half of the body is sent, then the connection is closed."""
    reset: bool = False
    """Nothing is sent and the connection is reset."""

    def head(self, *, close: bool) -> bytes:
        """Returns status line and headers; `close` announces the end of the connection."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, '')}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class ClientConnection(asyncio.Protocol):
    """Connection of one client.

    Args:
        respond: Returns the response to a request.
        connections: Open connections of the BMC, in which this one registers itself.
    """

    def __init__(self, respond: Callable[[HttpRequest], SimulatedResponse], connections: set[ClientConnection]) -> None:
        self._respond = respond
        self._connections = connections
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_responding = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Registers the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's signature
        """Unregisters the connection and drops a pending response."""
        self._connections.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Buffers a piece of a request, and responds once the request is complete."""
        self._buffer += data
        if not self._is_responding:
            self._handle_next()

    def abort(self) -> None:
        """Closes the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _handle_next(self) -> None:
        """Responds to the request in the buffer if it is complete."""
        try:
            request = self._parse_request()
        except ValueError:
            self._send(SimulatedResponse(400), close=True)
            return
        if request is None:
            return
        close = request.headers.get("connection", "").lower() == "close"
        response = self._respond(request)
        self._is_responding = True
        if response.delay_s == float("inf"):
            return
        if response.delay_s > 0:
            self._timer = asyncio.get_running_loop().call_later(
                response.delay_s, lambda: self._send(response, close=close, method=request.method)
            )
        else:
            self._send(response, close=close, method=request.method)

    def _parse_request(self) -> HttpRequest | None:
        """Removes the next request from the buffer; None if it is not complete yet."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ValueError("head too long")
            return None
        request_line, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, target, _ = request_line.split(" ", 2)
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= MAX_BODY_BYTES or "transfer-encoding" in headers:
            raise ValueError("unsupported body")
        if len(self._buffer) < end + 4 + length:
            return None
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        path, _, query = target.partition("?")
        return HttpRequest(method, path, query, headers, body)

    def _send(self, response: SimulatedResponse, *, close: bool, method: str = "GET") -> None:
        if self._transport is None:
            return
        if response.reset:
            self._transport.abort()
            return
        body = b"" if method == "HEAD" else response.body
        if response.drip_s and body:
            self._transport.write(response.head(close=close))
            self._drip(body, response.drip_s / DRIP_CHUNKS, -(-len(body) // DRIP_CHUNKS), close=close)
        elif response.cut:
            self._transport.write(response.head(close=close) + body[: len(body) // 2])
            self._transport.close()
        else:
            self._transport.write(response.head(close=close) + body)
            self._finish(close=close)

    def _drip(self, body: bytes, pause_s: float, chunk_bytes: int, *, close: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(body[:chunk_bytes])
        if rest := body[chunk_bytes:]:
            call_later = asyncio.get_running_loop().call_later
            self._timer = call_later(pause_s, lambda: self._drip(rest, pause_s, chunk_bytes, close=close))
        else:
            self._finish(close=close)

    def _finish(self, *, close: bool) -> None:
        self._is_responding = False
        if close and self._transport is not None:
            self._transport.close()
        elif self._buffer:
            self._handle_next()
