"""Listening socket of one simulated BMC on loopback, which can also refuse connections as a dead BMC does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from rackstream.simulators.http import ClientConnection, HttpRequest, SimulatedResponse

HOST: Final = "127.0.0.1"
BACKLOG: Final = 128


class BmcListener:
    """Port of one BMC. The socket stays bound from `open` to `close`, also while connections are refused.

    Args:
        respond: Returns the response to a request.
        tls: TLS context for HTTPS; None for HTTP.
    """

    def __init__(self, respond: Callable[[HttpRequest], SimulatedResponse], tls: ssl.SSLContext | None) -> None:
        self.port = 0
        """Port number, once it is open."""
        self._respond = respond
        self._tls = tls
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[ClientConnection] = set()

    async def open(self, port: int, *, listening: bool = True) -> None:
        """Binds to a port; 0 for a free one.

        Raises:
            OSError: The port is in use.
        """
        self._socket = socket.socket()
        try:
            # SO_REUSEADDR before `bind` only for a given port: a free one might else be a dead BMC's. Afterwards for
            # all, because connections that are closing would prevent binding to the port again.
            if port:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((HOST, port))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            self._socket.close()
            raise
        self.port = self._socket.getsockname()[1]
        if listening:
            await self.listen()

    async def listen(self) -> None:
        """Accepts connections from now on."""
        if self._server is None and self._socket is not None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: ClientConnection(self._respond, self._connections),
                sock=self._socket,
                ssl=self._tls,
                backlog=BACKLOG,
            )

    async def refuse(self) -> None:
        """Closes all connections and refuses new ones from now on."""
        if self._server is not None:
            self.close()
            await self.open(self.port, listening=False)

    def close(self) -> None:
        """Closes the socket and all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        elif self._socket is not None:
            self._socket.close()
        self._socket = None
        for connection in list(self._connections):
            connection.abort()
