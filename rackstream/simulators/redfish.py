"""Simulated BMCs: real HTTP(S) servers on loopback, one port each, one asyncio loop for all."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from rackstream.simulators.bmc import Bmc, Manner
from rackstream.simulators.faults import Fault, Share, assign
from rackstream.simulators.http import Answer, Request
from rackstream.simulators.listener import HOST, Port
from rackstream.simulators.models import shape_of
from rackstream.simulators.resource_tree import tree_of
from runtime.errors import Misconfigured

START_S: Final = 60.0
FILES_EACH: Final = 6
"""Files that a BMC may have open: its port, and connections."""
FILES_ELSE: Final = 200


@dataclass
class Simulator:
    """A number of BMCs. `async with`, or `with`, which serves them from a thread of its own.

    Raises:
        Misconfigured: when it is entered: a port is taken, or the certificate is of no use.
    """

    count: int = 1
    """How many."""
    _: KW_ONLY
    first_port: int = 0
    """Port of the first, the others following; 0: free ports."""
    shape: str = "dell"
    """A name of `shapes.SHAPES`, or `mix`."""
    faults: Sequence[Share] = ()
    username: str | None = None
    """User of Basic authentication and of sessions; none: no authentication."""
    password: str | None = field(default=None, repr=False)
    cert: Path | None = None
    """File of a PEM certificate; none: plain HTTP."""
    key: Path | None = None
    """File of its key."""
    heat_period_s: float = 40.0
    """Length of the temperature's cycle."""
    latency_s: float = 0.0
    """How long the slowest answer of a category takes; most others take a twentieth of it."""
    session_limit: int = 8
    session_ttl_s: float = 1800.0
    numbers: range | None = None
    """Those of the BMCs that are served here; none: all."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    """Seconds that only grow."""

    def __post_init__(self) -> None:
        self.bmcs: list[Bmc] = []
        """The BMCs, from the start on."""
        self.urls: list[str] = []
        """Their addresses, while they are served."""
        self._ports: list[Port] = []
        self._began_s = self.clock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None

    async def __aenter__(self) -> Self:
        self._began_s = self.clock()
        self._loop = asyncio.get_running_loop()
        numbers = self.numbers if self.numbers is not None else range(self.count)
        _allow_files(len(numbers))
        tls = _tls(self.cert, self.key) if self.cert else None
        manner = Manner(
            self.username,
            self.password or "",
            self.latency_s,
            self.heat_period_s,
            self.session_limit,
            self.session_ttl_s,
        )
        faults = self._assigned()
        self.bmcs = [
            Bmc(number, tree_of(shape_of(self.shape, number).name), manner, faults.get(number)) for number in numbers
        ]
        for bmc in self.bmcs:
            await self._open(bmc, tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        for port in self._ports:
            port.close()
        await asyncio.sleep(0.01)  # connections are told of their end by the loop's next rounds
        self._ports.clear()
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

    def suffer(self, place: int, fault: Fault | None) -> None:
        """Gives the BMC at a place of `bmcs` another fault, or none. From another thread than that which serves."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._suffer(place, fault), self._loop).result(START_S)

    def counts(self) -> dict[str, Any]:
        """What was asked of all of them together."""
        return total([bmc.counts() for bmc in self.bmcs])

    def _assigned(self) -> dict[int, Fault]:
        if not self.latency_s and any(each.fault.kind == "slow" for each in self.faults):
            raise Misconfigured("slow multiplies --latency, and there is none: give one")
        try:
            return assign(self.count, self.faults)
        except ValueError as error:
            raise Misconfigured(str(error)) from None

    async def _suffer(self, place: int, fault: Fault | None) -> None:
        self.bmcs[place].suffer(fault)
        if fault and fault.kind == "dead":
            await self._ports[place].refuse()
        else:
            await self._ports[place].listen()

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

    async def _open(self, bmc: Bmc, tls: ssl.SSLContext | None) -> None:
        port = Port(partial(self._answer, bmc), tls)
        wanted = self.first_port + bmc.number if self.first_port else 0
        try:
            await port.open(wanted, listening=not (bmc.fault and bmc.fault.kind == "dead"))
        except OSError as error:
            await self.__aexit__()
            why = os.strerror(error.errno or 0).lower()
            named = wanted or "of the system's choice"
            raise Misconfigured(f"port {named} cannot be listened on: {why}; choose another --port") from error
        self._ports.append(port)
        self.urls.append(f"{'https' if tls else 'http'}://{HOST}:{port.number}")

    def _answer(self, bmc: Bmc, request: Request) -> Answer:
        return bmc.answer(request, self.clock() - self._began_s)


def total(counts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The counts of several BMCs added up."""
    found: dict[str, Any] = {}
    for count in counts:
        for name, value in count.items():
            found[name] = (
                dict(Counter(found.get(name, {})) + Counter(value))
                if isinstance(value, dict)
                else (found.get(name, 0) + value)
            )
    return found


def _allow_files(bmcs: int) -> None:
    """Raises this process's limit of open files as far as so many BMCs may need it.

    Raises:
        Misconfigured: it must not be raised so far that there is a port for each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = bmcs * FILES_EACH + FILES_ELSE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if most < bmcs * 2 + FILES_ELSE:
        raise Misconfigured(
            f"{bmcs} BMCs need {bmcs * 2 + FILES_ELSE} open files in one process, and it may have {most}: "
            "raise the limit (ulimit -n), or give more --processes"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _tls(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"certificate {cert} and its key cannot be used: {error.strerror}") from error
    return context
