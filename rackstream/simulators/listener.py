"""The port of one simulated BMC on loopback: listens, or refuses connections as a dead one does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from rackstream.simulators.http import Answer, Connection, Request

HOST: Final = "127.0.0.1"
BACKLOG: Final = 128


class Port:
    """One port. A socket is bound to it from `open` to `close`, also while connections are refused.

    Args:
        answer: what requests are answered with.
        tls: for HTTPS.
    """

    def __init__(self, answer: Callable[[Request], Answer], tls: ssl.SSLContext | None) -> None:
        self.number = 0
        """Its number, once it is open."""
        self._answer = answer
        self._tls = tls
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def open(self, number: int, *, listening: bool = True) -> None:
        """Binds to this port; 0: to a free one.

        Raises:
            OSError: it is taken.
        """
        self._socket = socket.socket()
        try:
            # Beforehand, a free port might be one that a dead BMC's socket is bound to; not at all, connections that
            # are ending would keep us from binding to the port again.
            if number:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((HOST, number))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            self._socket.close()
            raise
        self.number = self._socket.getsockname()[1]
        if listening:
            await self.listen()

    async def listen(self) -> None:
        """Takes connections, if it does not."""
        if self._server is None and self._socket is not None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._answer, self._connections), sock=self._socket, ssl=self._tls, backlog=BACKLOG
            )

    async def refuse(self) -> None:
        """Ends all connections and takes none from now on."""
        if self._server is not None:
            self.close()
            await self.open(self.number, listening=False)

    def close(self) -> None:
        """Ends everything."""
        if self._server is not None:
            self._server.close()
            self._server = None
        elif self._socket is not None:
            self._socket.close()
        self._socket = None
        for connection in list(self._connections):
            connection.abort()
