"""Simulates BMCs: HTTP(S) servers on loopback, one port each, all in one asyncio event loop."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self

from rackstream.simulators.bmc import BmcStatistics, SimulatedBmc, SimulatedBmcSettings
from rackstream.simulators.faults import FaultShare, InjectedFault, assign_faults
from rackstream.simulators.http import HttpRequest, SimulatedResponse
from rackstream.simulators.listener import HOST, BmcListener
from rackstream.simulators.models import model_for
from rackstream.simulators.resource_tree import resource_tree
from runtime.errors import Misconfigured

START_TIMEOUT_S: Final = 60.0
FILES_PER_BMC: Final = 6
"""Open files of a BMC: its port and its connections."""
MIN_FILES_PER_BMC: Final = 2
OTHER_FILES: Final = 200
"""Open files of the process besides those."""


@dataclass
class RedfishSimulator:
    """A number of simulated BMCs, served while the context is entered.

    `async with` serves them in the running event loop, `with` in a thread of its own.

    Raises:
        Misconfigured: On entering: a port is in use, or the certificate cannot be used.
    """

    count: int = 1
    """Number of BMCs."""
    _: KW_ONLY
    first_port: int = 0
    """Port of the first BMC, followed by those of the others; 0 for free ports."""
    model: str = "dell"
    """A name in `models.MODELS`, or `mix`."""
    faults: Sequence[FaultShare] = ()
    username: str | None = None
    """User for Basic authentication and sessions; None for no authentication."""
    password: str | None = field(default=None, repr=False)
    cert: Path | None = None
    """File with a PEM certificate; None for plain HTTP."""
    key: Path | None = None
    """File with the key of the certificate."""
    heat_period_s: float = 40.0
    """Length of the temperature cycle."""
    latency_s: float = 0.0
    """Response time of the slowest resource of a category; most others take a twentieth of it."""
    session_limit: int = 8
    session_ttl_s: float = 1800.0
    numbers: range | None = None
    """Numbers of the BMCs to serve here; None for all."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    """Monotonic clock, in seconds."""

    def __post_init__(self) -> None:
        self.bmcs: list[SimulatedBmc] = []
        """The BMCs, once started."""
        self.urls: list[str] = []
        """Addresses of the BMCs, while they are served."""
        self._listeners: list[BmcListener] = []
        self._started_s = self.clock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None

    async def __aenter__(self) -> Self:
        self._started_s = self.clock()
        self._loop = asyncio.get_running_loop()
        numbers = self.numbers if self.numbers is not None else range(self.count)
        _raise_file_limit(len(numbers))
        tls = _tls_context(self.cert, self.key) if self.cert else None
        settings = SimulatedBmcSettings(
            self.username,
            self.password or "",
            self.latency_s,
            self.heat_period_s,
            self.session_limit,
            self.session_ttl_s,
        )
        faults = self._assign_faults()
        self.bmcs = [
            SimulatedBmc(number, resource_tree(model_for(self.model, number).name), settings, faults.get(number))
            for number in numbers
        ]
        for bmc in self.bmcs:
            await self._open(bmc, tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.close()
        await asyncio.sleep(0.01)  # the next iterations of the loop close the connections
        self._listeners.clear()
        self.urls.clear()

    def __enter__(self) -> Self:
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(ready),), name="simulated-bmcs", daemon=True
        )
        self._thread.start()
        ready.result(START_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join(START_TIMEOUT_S)

    def set_fault(self, index: int, fault: InjectedFault | None) -> None:
        """Replaces the fault of `bmcs[index]`; None removes it. Called from a thread other than the serving one."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._set_fault(index, fault), self._loop).result(START_TIMEOUT_S)

    def statistics(self) -> BmcStatistics:
        """Returns the requests and sessions of all BMCs together."""
        return add_statistics(bmc.statistics() for bmc in self.bmcs)

    def respond(self, bmc: SimulatedBmc, request: HttpRequest) -> SimulatedResponse:
        """Returns a BMC's response to a request."""
        return bmc.respond(request, self.clock() - self._started_s)

    def _assign_faults(self) -> dict[int, InjectedFault]:
        if not self.latency_s and any(share.fault.kind == "slow" for share in self.faults):
            raise Misconfigured("the fault slow multiplies --latency, which is 0: set it")
        try:
            return assign_faults(self.count, self.faults)
        except ValueError as error:
            raise Misconfigured(str(error)) from None

    async def _set_fault(self, index: int, fault: InjectedFault | None) -> None:
        self.bmcs[index].set_fault(fault)
        if fault and fault.kind == "dead":
            await self._listeners[index].refuse()
        else:
            await self._listeners[index].listen()

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

    async def _open(self, bmc: SimulatedBmc, tls: ssl.SSLContext | None) -> None:
        listener = BmcListener(partial(self.respond, bmc), tls)
        port = self.first_port + bmc.number if self.first_port else 0
        try:
            await listener.open(port, listening=not (bmc.fault and bmc.fault.kind == "dead"))
        except OSError as error:
            await self.__aexit__()
            reason = os.strerror(error.errno or 0).lower()
            name = f"port {port}" if port else "a free port"
            raise Misconfigured(f"{name} cannot be opened: {reason}; choose another --port") from error
        self._listeners.append(listener)
        self.urls.append(f"{'https' if tls else 'http'}://{HOST}:{listener.port}")


def add_statistics(statistics: Iterable[BmcStatistics]) -> BmcStatistics:
    """Adds up the statistics of several BMCs."""
    numbers: Counter[str] = Counter()
    responses: Counter[str] = Counter()
    for bmc in statistics:
        responses.update(bmc["answers"])
        numbers.update({name: value for name, value in bmc.items() if isinstance(value, int)})
    return {
        "requests": numbers["requests"],
        "answers": dict(responses),
        "logins": numbers["logins"],
        "logouts": numbers["logouts"],
        "sessions_open": numbers["sessions_open"],
        "sessions_most": numbers["sessions_most"],
        "sessions_expired": numbers["sessions_expired"],
        "sessions_refused": numbers["sessions_refused"],
    }


def _raise_file_limit(bmcs: int) -> None:
    """Raises this process's limit of open files as far as this many BMCs may need it.

    Raises:
        Misconfigured: The limit cannot be raised far enough.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = bmcs * FILES_PER_BMC + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    possible = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    minimum = bmcs * MIN_FILES_PER_BMC + OTHER_FILES
    if possible < minimum:
        raise Misconfigured(
            f"{bmcs} BMCs need {minimum} open files in one process, which may have {possible}: "
            "raise the limit (ulimit -n), or give more --processes"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, possible), hard))


def _tls_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"certificate {cert} and its key cannot be used: {error.strerror}") from error
    return context
