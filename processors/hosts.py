"""The host step: rates and angles of a host's own counters, since the sample before. Pure.

What counts as the sample before:

- Elapsed time is the producer's monotonic clock, so a clock that steps changes nothing. A new epoch begins anew: the
  host may have booted, and its counters with it. So does a gap longer than `MEMORY`.
- A counter that went backwards (a reset, a wrap; iowait and steal fall at times by themselves) gives no rate, and is
  the next baseline. Only the sample right before counts: what it lacks, a value or a whole device, begins anew.
- Cores have no name but their position, so when their number changes none is compared.
- Duplicates and records out of order never get here (`drive`). A first sample emits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, NamedTuple

from processors.engine.step import Output, Record, Step, derived_header
from processors.rates import Reading, rates
from processors.totals import NIC

MEMORY: Final = timedelta(minutes=5)
CPU: Final = ("user_s", "system_s", "idle_s", "iowait_s", "irq_s", "steal_s", "guest_s")
DISK: Final = ("read_bytes", "write_bytes", "read_count", "write_count", "busy_ms")
HOST: Final = (*(f"cpu_{name}" for name in CPU), "swap_in", "swap_out")
Readings = tuple[Reading, ...]


class State(NamedTuple):
    """The sample that the next one is compared with."""

    epoch: str
    monotonic_s: float
    host: Readings
    cores: dict[str, Readings]
    disks: dict[str, Readings]
    interfaces: dict[str, Readings]


def step(state: State | None, record: Record) -> tuple[State, list[Output]]:
    """Rates of one sample, if there is one before it."""
    now = _state(record)
    if state is None or state.epoch != now.epoch:
        return now, []
    elapsed_s = now.monotonic_s - state.monotonic_s
    if not 0 < elapsed_s <= MEMORY.total_seconds():
        return now, []
    same_cores = len(state.cores) == len(now.cores)
    output = derived_header(record) | {"interval_s": elapsed_s} | rates(HOST, state.host, now.host, elapsed_s)
    output |= {
        "cores": _each("core", CPU, state.cores if same_cores else {}, now.cores, elapsed_s),
        "disks": _each("device", DISK, state.disks, now.disks, elapsed_s),
        "interfaces": _each("device", NIC, state.interfaces, now.interfaces, elapsed_s),
    }
    return now, [("host-rates", output)]


def _state(record: Record) -> State:
    cpu = record["cpu"] or {}
    return State(
        record["epoch"],
        record["monotonic_s"],
        (*(cpu.get(name) for name in CPU), record["swap_in"], record["swap_out"]),
        {str(number): tuple(core[name] for name in CPU) for number, core in enumerate(record["cores"])},
        _devices(DISK, record["disks"]),
        _devices(NIC, record["interfaces"]),
    )


def _devices(counters: tuple[str, ...], devices: Iterable[Record]) -> dict[str, Readings]:
    """Readings by device; of two of one name the first, as which is which cannot be told."""
    found: dict[str, Readings] = {}
    for device in devices:
        found.setdefault(device["device"], tuple(device[name] for name in counters))
    return found


def _each(
    kind: str, counters: tuple[str, ...], before: dict[str, Readings], now: dict[str, Readings], elapsed_s: float
) -> list[Record]:
    """The rates of each part that has a sample before."""
    return [
        {kind: name} | rates(counters, before[name], readings, elapsed_s)
        for name, readings in now.items()
        if name in before
    ]


STEP: Final = Step(name="hosts", input="raw-host", outputs=("host-rates",), memory=MEMORY, run=step)
