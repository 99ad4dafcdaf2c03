"""Serves simulated BMCs in several processes until a signal arrives (`rackstream simulate redfish`)."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from rackstream.simulators.bmc import BmcStatistics
from rackstream.simulators.redfish import START_TIMEOUT_S, RedfishSimulator, add_statistics
from runtime.errors import Failure, Misconfigured

STOP_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class ServedBmc:
    """A BMC that accepts connections."""

    number: int
    url: str
    shape: str
    """Name of its model; the option of the command is `--shape`."""
    fault: str | None

    def as_json(self) -> dict[str, object]:
        """Returns the fields for a line of JSON."""
        return asdict(self)


Announce = Callable[[Sequence[ServedBmc]], None]


def serve(simulator: RedfishSimulator, announce: Announce, *, processes: int = 1) -> BmcStatistics:
    """Serves BMCs until SIGINT or SIGTERM.

    Args:
        simulator: The BMCs.
        announce: Called with the BMCs once all of them accept connections.
        processes: Number of processes to divide them among.

    Returns:
        Requests and sessions of all BMCs together.

    Raises:
        Misconfigured: A port is in use, the certificate cannot be used, or there are more faults than BMCs.
        Failure: One of the processes ended unexpectedly.
    """
    if processes == 1:
        return asyncio.run(_serve(simulator, announce, _stop_on_signal))
    # Forked, so that documents are encoded only once, and no secret is on a command line.
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    children = []
    for index in range(processes):
        parent_end, child_end = context.Pipe()
        part = replace(simulator, numbers=range(index, simulator.count, processes))
        child = context.Process(
            target=_run_child, args=(part, child_end, [*pipes, parent_end]), name=f"simulated-bmcs-{index}"
        )
        child.start()
        child_end.close()
        pipes.append(parent_end)
        children.append(child)
    try:
        return _coordinate(pipes, announce)
    finally:
        for pipe in pipes:
            pipe.close()  # stops the child, unless it has stopped already
        for child in children:
            child.join(STOP_TIMEOUT_S)
            child.terminate()


def _coordinate(pipes: list[Connection], announce: Announce) -> BmcStatistics:
    """Announces the BMCs of all processes, waits for a signal, and adds up their statistics."""
    read_end, write_end = multiprocessing.Pipe(duplex=False)
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: write_end.send(None))
    served: list[ServedBmc] = [bmc for pipe in pipes for bmc in _receive(pipe, START_TIMEOUT_S)]
    announce(sorted(served, key=lambda bmc: bmc.number))
    if read_end not in wait([read_end, *pipes]):
        raise Failure("a process of the simulator ended unexpectedly")
    for pipe in pipes:
        pipe.send(None)
    return add_statistics(_receive(pipe, STOP_TIMEOUT_S) for pipe in pipes)


def _receive(pipe: Connection, timeout_s: float) -> Any:
    """Returns the next message of a child, or raises the error that it sent."""
    if not pipe.poll(timeout_s):
        raise Failure("a process of the simulator does not respond")
    try:
        message = pipe.recv()
    except EOFError:
        raise Failure("a process of the simulator ended unexpectedly") from None
    if isinstance(message, Failure):
        raise message
    return message


def _run_child(part: RedfishSimulator, pipe: Connection, inherited: list[Connection]) -> None:
    """Serves a part of the BMCs until the parent sends a message or ends."""
    for connection in inherited:
        connection.close()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)  # the parent receives them too, and sends a message

    async def stop_on_message(stopped: asyncio.Event) -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), stopped.set)

    try:
        statistics = asyncio.run(_serve(part, lambda served: pipe.send(list(served)), stop_on_message))
        pipe.send(statistics)
    except Misconfigured as error:
        pipe.send(error)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent has ended


async def _stop_on_signal(stopped: asyncio.Event) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopped.set)


async def _serve(
    simulator: RedfishSimulator, announce: Announce, listen_for_stop: Callable[[asyncio.Event], Any]
) -> BmcStatistics:
    stopped = asyncio.Event()
    await listen_for_stop(stopped)
    async with simulator:
        announce(
            [
                ServedBmc(bmc.number, url, bmc.model.name, str(bmc.fault) if bmc.fault else None)
                for bmc, url in zip(simulator.bmcs, simulator.urls, strict=True)
            ]
        )
        await stopped.wait()
        return simulator.statistics()
