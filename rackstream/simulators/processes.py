"""Simulated BMCs in several processes: what `rackstream simulate redfish` runs until it is told to stop."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from rackstream.simulators.redfish import START_S, Simulator, total
from runtime.errors import Failure, Misconfigured

STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Served:
    """One BMC that is served."""

    number: int
    url: str
    shape: str
    fault: str | None

    def as_json(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)


Announce = Callable[[Sequence[Served]], None]


def run(simulator: Simulator, announce: Announce, *, processes: int = 1) -> dict[str, Any]:
    """Serves BMCs until SIGINT or SIGTERM; `announce` is given them once they are listened on. What was asked of them.

    Raises:
        Misconfigured: a port is taken, the certificate is of no use, or there are more faults than BMCs.
        Failure: one of the processes ended by itself.
    """
    if processes == 1:
        return asyncio.run(_serve(simulator, announce, _stopped_by_signal))
    # Forked, so that the documents are encoded once, and so that nothing secret is on a command line.
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    children = []
    for place in range(processes):
        ours, theirs = context.Pipe()
        part = replace(simulator, numbers=range(place, simulator.count, processes))
        child = context.Process(target=_child, args=(part, theirs, [*pipes, ours]), name=f"simulated-bmcs-{place}")
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    try:
        return _lead(pipes, announce)
    finally:
        for pipe in pipes:
            pipe.close()  # which tells them to stop, if they have not yet
        for child in children:
            child.join(STOP_S)
            child.terminate()


def _lead(pipes: list[Connection], announce: Announce) -> dict[str, Any]:
    """Gathers what the processes serve, waits for a signal, and gathers their counts."""
    read, write = multiprocessing.Pipe(duplex=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: write.send(None))
    served = [each for pipe in pipes for each in _received(pipe, START_S)]
    announce(sorted(served, key=lambda each: each.number))
    if read not in wait([read, *pipes]):
        raise Failure("a process of the simulator ended by itself")
    for pipe in pipes:
        pipe.send(None)
    return total([_received(pipe, STOP_S) for pipe in pipes])


def _received(pipe: Connection, timeout_s: float) -> Any:
    if not pipe.poll(timeout_s):
        raise Failure("a process of the simulator does not answer")
    try:
        told = pipe.recv()
    except EOFError:
        raise Failure("a process of the simulator ended by itself") from None
    if isinstance(told, Failure):
        raise told
    return told


def _child(part: Simulator, pipe: Connection, of_others: list[Connection]) -> None:
    """One process: ends when its pipe says so, or ends with the process that started it."""
    for each in of_others:
        each.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the leader hears them too, and tells

    async def told(stopped: asyncio.Event) -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), stopped.set)

    try:
        counts = asyncio.run(_serve(part, lambda served: pipe.send(list(served)), told))
        pipe.send(counts)
    except Misconfigured as error:
        pipe.send(error)
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody is left to tell


async def _stopped_by_signal(stopped: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)


async def _serve(simulator: Simulator, announce: Announce, listen: Callable[[asyncio.Event], Any]) -> dict[str, Any]:
    stopped = asyncio.Event()
    await listen(stopped)
    async with simulator:
        announce(
            [
                Served(bmc.number, url, bmc.shape.name, str(bmc.fault) if bmc.fault else None)
                for bmc, url in zip(simulator.bmcs, simulator.urls, strict=True)
            ]
        )
        await stopped.wait()
        return simulator.counts()
