"""HTTP connections of the console: a request must arrive within a time, else its connection is closed.

uvicorn limits only the pause between two requests: a connection that sends nothing, or half a request, would stay.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEADER_TIMEOUT_S: Final = 10.0
"""Time from the first byte of a request, or from the connection, until its headers are complete."""


class TimedProtocol(H11Protocol):
    """uvicorn's protocol with a timeout of the headers."""

    header_timeout_s = HEADER_TIMEOUT_S
    _header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts waiting for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Passes data on. The timer is not started again by each byte, so that a slow client gains nothing."""
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        """Waits for the rest of the next request, part of which may have come already."""
        super().on_response_complete()
        self._update_timer()

    def _update_timer(self) -> None:
        if self._is_waiting:
            self._start_timer()
        else:
            self._cancel_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends waiting."""
        self._cancel_timer()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        """True while no request is being answered; an upgraded connection belongs to another protocol."""
        if self.transport.get_protocol() is not self:
            return False
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _start_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = asyncio.get_running_loop().call_later(self.header_timeout_s, self._close_if_waiting)

    def _cancel_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _close_if_waiting(self) -> None:
        self._header_timer = None
        if self._is_waiting:
            self.transport.abort()
