"""The host step: derives rates and angles of a host's own counters from its raw records. Pure.

Rates are computed against the previous sample, the baseline:

- Elapsed time is the producer's monotonic clock, so a stepping wall clock changes nothing. A new epoch starts over: the
  host may have booted, which resets its counters. So does a gap longer than `MEMORY`.
- A counter that went backwards (a reset, a wrap; iowait and steal fall at times by themselves) gives no rate, and is
  the next baseline. A value or device missing from the baseline gives no rate.
- CPU cores are identified by position only, so if their number changes none is compared.
- Duplicates and late records never get here (`engine.partition`). A first sample emits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple, cast

from processors.engine.step import Step, StepResult, derived_header
from processors.rates import CounterValue, rates
from processors.totals import NIC_COUNTERS
from schemas.records import HostDisk, HostInterface, HostRates, HostSample

MEMORY: Final = timedelta(minutes=5)
CPU_COUNTERS: Final = ("user_s", "system_s", "idle_s", "iowait_s", "irq_s", "steal_s", "guest_s")
DISK_COUNTERS: Final = ("read_bytes", "write_bytes", "read_count", "write_count", "busy_ms")
HOST_COUNTERS: Final = (*(f"cpu_{name}" for name in CPU_COUNTERS), "swap_in", "swap_out")
CounterValues = tuple[CounterValue, ...]


class HostBaseline(NamedTuple):
    """The sample of a host that the next one is compared with."""

    epoch: str
    monotonic_s: float
    host: CounterValues
    cores: dict[str, CounterValues]
    disks: dict[str, CounterValues]
    interfaces: dict[str, CounterValues]


def step(state: HostBaseline | None, record: HostSample) -> StepResult[HostBaseline]:
    """Emits the rates of a sample that has a baseline."""
    now = _baseline(record)
    if state is None or state.epoch != now.epoch:
        return now, []
    elapsed_s = now.monotonic_s - state.monotonic_s
    if not 0 < elapsed_s <= MEMORY.total_seconds():
        return now, []
    comparable_cores = state.cores if len(state.cores) == len(now.cores) else {}
    output = {
        **derived_header(record),
        "interval_s": elapsed_s,
        **rates(HOST_COUNTERS, state.host, now.host, elapsed_s),
        "cores": _part_rates("core", CPU_COUNTERS, comparable_cores, now.cores, elapsed_s),
        "disks": _part_rates("device", DISK_COUNTERS, state.disks, now.disks, elapsed_s),
        "interfaces": _part_rates("device", NIC_COUNTERS, state.interfaces, now.interfaces, elapsed_s),
    }
    return now, [("host-rates", cast("HostRates", output))]


def _baseline(record: HostSample) -> HostBaseline:
    cpu = record["cpu"]
    cpu_values = _values(CPU_COUNTERS, cpu) if cpu is not None else (None,) * len(CPU_COUNTERS)
    return HostBaseline(
        record["epoch"],
        record["monotonic_s"],
        (*cpu_values, record["swap_in"], record["swap_out"]),
        {str(number): _values(CPU_COUNTERS, core) for number, core in enumerate(record["cores"])},
        _device_values(DISK_COUNTERS, record["disks"]),
        _device_values(NIC_COUNTERS, record["interfaces"]),
    )


def _values(counters: tuple[str, ...], part: Mapping[str, object]) -> CounterValues:
    return tuple(cast("CounterValue", part[name]) for name in counters)


def _device_values(
    counters: tuple[str, ...], devices: Iterable[HostDisk] | Iterable[HostInterface]
) -> dict[str, CounterValues]:
    """Returns device → counters; of several devices with one name, the first."""
    values: dict[str, CounterValues] = {}
    for device in devices:
        values.setdefault(device["device"], _values(counters, device))
    return values


def _part_rates(
    name_field: str,
    counters: tuple[str, ...],
    before: Mapping[str, CounterValues],
    now: Mapping[str, CounterValues],
    elapsed_s: float,
) -> list[dict[str, str | float | None]]:
    """Returns the rates of each core or device that has a baseline."""
    return [
        {name_field: name, **rates(counters, before[name], values, elapsed_s)}
        for name, values in now.items()
        if name in before
    ]


STEP: Final = Step(name="hosts", input="raw-host", outputs=("host-rates",), memory=MEMORY, run=step)
