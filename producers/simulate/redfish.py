"""Simulated BMCs: real HTTP(S) servers on loopback, one port each, one asyncio loop for all. Documents: `bmc.py`."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Self

from aiohttp import web

from producers.simulate.bmc import DOCUMENTS
from producers.simulate.moment import ROOT, Moment
from runtime.errors import Misconfigured

HOST: Final = "127.0.0.1"
START_S: Final = 30.0
OPEN: Final = ("/redfish", ROOT)
"""What DSP0266 serves without a login."""


class Simulator:
    """A number of BMCs. `async with`, or `with`, which serves them from a thread of its own.

    Args:
        count: how many.
        first_port: port of the first, the others following; 0: free ports.
        username: user of Basic authentication; none: no authentication.
        password: its password.
        cert: file of a PEM certificate; none: plain HTTP.
        key: file of its key.
        heat_period_s: length of the temperature's cycle.
        clock: seconds that only grow.
    """

    def __init__(  # noqa: PLR0913
        self,
        count: int = 1,
        *,
        first_port: int = 0,
        username: str | None = None,
        password: str | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        heat_period_s: float = 40.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.urls: list[str] = []
        """Addresses of the BMCs, while they are served."""
        self._count = count
        self._first_port = first_port
        self._login = _basic(username, password or "") if username else None
        self._tls = _tls(cert, key) if cert else None
        self._heat_period_s = heat_period_s
        self._clock = clock
        self._began_s = clock()
        self._runners: list[web.ServerRunner] = []
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None

    async def __aenter__(self) -> Self:
        self._began_s = self._clock()
        try:
            for number in range(self._count):
                await self._listen(number)
        except OSError as error:
            port = self._first_port + len(self.urls) if self._first_port else "of the system's choice"
            await self.__aexit__()
            why = os.strerror(error.errno or 0).lower()
            raise Misconfigured(f"port {port} cannot be listened on: {why}; choose another --port") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        for runner in self._runners:
            open_ones = [each.transport for each in runner.server.connections] if runner.server else []
            await runner.cleanup()
            for transport in open_ones:
                if transport is not None:
                    transport.abort()  # a TLS client that keeps silent would be waited for longer than the loop lives
        await asyncio.sleep(0.01)  # connections are told of their end by the loop's next rounds
        self._runners.clear()
        self.urls.clear()

    def __enter__(self) -> Self:
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(ready),), name="simulated-bmcs", daemon=True
        )
        self._thread.start()
        ready.result(START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join(START_S)

    async def _serve(self, ready: Future[None]) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        try:
            async with self:
                ready.set_result(None)
                await stopped.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _listen(self, number: int) -> None:
        async def answer(request: web.BaseRequest) -> web.Response:
            return self._answer(number, request)

        runner = web.ServerRunner(web.Server(answer, access_log=None))
        await runner.setup()
        self._runners.append(runner)
        port = self._first_port + number if self._first_port else 0
        await web.TCPSite(runner, HOST, port, ssl_context=self._tls).start()
        self.urls.append(f"{'https' if self._tls else 'http'}://{HOST}:{runner.addresses[0][1]}")

    def _answer(self, number: int, request: web.BaseRequest) -> web.Response:
        path = request.path.rstrip("/")
        if request.method not in ("GET", "HEAD"):
            return _error(405, "Base.1.8.OperationNotAllowed", {"Allow": "GET, HEAD"})
        given = request.headers.get("Authorization", "")
        if self._login and path not in OPEN and not secrets.compare_digest(given.encode(), self._login.encode()):
            return _error(401, "Base.1.8.NoValidSession", {"WWW-Authenticate": 'Basic realm="redfish"'})
        make = DOCUMENTS.get(path)
        if make is None:
            return _error(404, "Base.1.8.ResourceMissingAtURI")
        moment = Moment(number, self._clock() - self._began_s, self._heat_period_s)
        return web.json_response(make(moment), headers={"OData-Version": "4.0"})


def run(  # noqa: PLR0913, PLR0917
    count: int,
    first_port: int,
    username: str | None,
    password: str | None,
    cert: Path | None,
    key: Path | None,
    heat_period_s: float,
    announce: Callable[[Sequence[str]], None] = lambda _: None,
) -> None:
    """Serves BMCs until SIGINT or SIGTERM; `announce` is given their URLs once they are listened on.

    Raises:
        Misconfigured: a port is taken, or the certificate is of no use.
    """
    simulator = Simulator(
        count,
        first_port=first_port,
        username=username,
        password=password,
        cert=cert,
        key=key,
        heat_period_s=heat_period_s,
    )

    async def serve() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with simulator:
            announce(tuple(simulator.urls))
            await stopped.wait()

    asyncio.run(serve())


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _tls(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"certificate {cert} and its key cannot be used: {error.strerror}") from error
    return context


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"error": {"code": code, "message": "See @Message.ExtendedInfo of a real BMC."}}
    return web.json_response(body, status=status, headers=headers)
