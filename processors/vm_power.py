"""The VM power join: divides a host's measured power among its VMs by CPU time, minute by minute. Pure.

The result is an estimate, and labelled as one. For each minute (UTC, of `observed_at`) the power side adds up the
energy between the BMC's readings, and the libvirt side each VM's CPU time between samples; what spans the end of a
minute is divided in proportion. A minute is closed when both sides have passed its end, or `GRACE_S` later by append
time, with what was appended by then. It is `partial` where readings do not cover all of it; there is no estimate for a
minute in which one side has no data.

For a replay, and any interleaving of the two topics, to give the same result:

- A side only moves forward: time that it has counted is not counted again, even if a clock steps back.
- A record is ignored if its append time differs from its observation time by more than `GRACE_S`: a wrong clock, or
  records that a producer had spooled during an outage.
- Elapsed time is the producer's monotonic clock. Nothing is added up over a restart, a gap longer than `MAX_GAP_S`, a
  counter that fell, a stale domain or an unknown reading.
- A host without power readings has no estimate. If its VMs used no CPU time, their share is 0 and their power unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from processors.engine.step import Join, Output, StepResult
from processors.power import analyze_record
from schemas.catalog import REMOVED_CATEGORY
from schemas.header import RecordHeader
from schemas.records import LibvirtSample, RedfishSample, VmPower, VmWatts

MINUTE_S: Final = 60
GRACE_S: Final = 300
"""A minute is closed this long after its end, by append time, even if a side has not passed it."""
MAX_GAP_S: Final = 300.0
"""Nothing is added up over a longer gap between two readings."""
COVERED_S: Final = 59.999
"""If readings cover at least this much of a minute, they cover all of it: the rest is rounding."""
MEMORY: Final = timedelta(minutes=15)
POWER: Final = "raw-redfish"
LIBVIRT: Final = "raw-libvirt"


class SourceReading(NamedTuple):
    """The reading of a side that the next one is compared with."""

    epoch: str
    monotonic_s: float
    watts: float | None
    cpu_ns: dict[tuple[str, int | None], int] | None
    """(UUID, domain id) → cumulative CPU time; None on the power side."""
    names: dict[str, tuple[str, str]]
    """UUID → (vmid, name)."""


@dataclass(frozen=True)
class MinuteUsage:
    """Energy or CPU time that one side has added up for a minute."""

    covered_s: float = 0.0
    joules: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    """UUID → CPU time."""
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    """UUID → (vmid, name)."""
    epoch: str = ""
    labels: dict[str, str] = field(default_factory=dict)


class SourceProgress(NamedTuple):
    """The state of one side: its last reading, its current minute, and the open minutes."""

    last: SourceReading | None = None
    minute: int = 0
    """Minutes since 1970; earlier ones accept no more readings from this side."""
    counted_until_s: float = 0.0
    """Seconds since 1970: time up to here has been counted."""
    minutes: dict[int, MinuteUsage] = {}  # noqa: RUF012  never changed in place


class HostProgress(NamedTuple):
    """The state of one host: both sides."""

    host: str
    power: SourceProgress = SourceProgress()
    libvirt: SourceProgress = SourceProgress()


def apply_power(state: HostProgress | None, record: RedfishSample, appended_ms: int) -> StepResult[HostProgress]:
    """Applies one Redfish record and emits the minutes that it closes."""
    state = state or HostProgress(record["host"])
    power = _advance(state.power, appended_ms)
    if record["category"] == "power" and (observed_s := _observed_s(record, appended_ms)) is not None:
        power = _add_reading(power, _power_reading(record), record, observed_s)
    return _close_minutes(state._replace(power=power))


def apply_libvirt(state: HostProgress | None, record: LibvirtSample, appended_ms: int) -> StepResult[HostProgress]:
    """Applies one libvirt record and emits the minutes that it closes."""
    state = state or HostProgress(record["host"])
    libvirt = _advance(state.libvirt, appended_ms)
    if record["category"] != REMOVED_CATEGORY and (observed_s := _observed_s(record, appended_ms)) is not None:
        libvirt = _add_reading(libvirt, _cpu_reading(record), record, observed_s)
    return _close_minutes(state._replace(libvirt=libvirt))


def advance_watermark(state: HostProgress, alias: str, until_ms: int) -> StepResult[HostProgress]:
    """Closes the minutes that a side will not add to, having no more records up to an append time (ms)."""
    if alias == POWER:
        return _close_minutes(state._replace(power=_advance(state.power, until_ms)))
    return _close_minutes(state._replace(libvirt=_advance(state.libvirt, until_ms)))


def is_waiting(state: HostProgress, alias: str, until_ms: int) -> bool:
    """True if a minute is overdue at an append time (ms) and only this side has not passed it."""
    side, due = (state.power if alias == POWER else state.libvirt), _last_due_minute(until_ms)
    return any(side.minute <= minute <= due for other in (state.power, state.libvirt) for minute in other.minutes)


def _last_due_minute(appended_ms: int) -> int:
    """Returns the last minute that is closed at an append time, whether or not both sides have passed it."""
    return (appended_ms // 1000 - GRACE_S) // MINUTE_S - 1


def _advance(side: SourceProgress, appended_ms: int) -> SourceProgress:
    """Returns a side at a later append time: minutes that are due by then accept no more readings."""
    return side._replace(minute=max(side.minute, _last_due_minute(appended_ms) + 1))


def _observed_s(record: RecordHeader, appended_ms: int) -> float | None:
    """Returns a record's observation time in seconds since 1970, or None if it is implausible."""
    observed_s = record["observed_at"].timestamp()
    return observed_s if abs(appended_ms / 1000 - observed_s) <= GRACE_S else None


def _add_reading(
    side: SourceProgress, reading: SourceReading, record: RecordHeader, observed_s: float
) -> SourceProgress:
    """Returns a side after one more reading."""
    minutes = dict(side.minutes)
    if side.last is not None and side.last.epoch == reading.epoch:
        elapsed_s = reading.monotonic_s - side.last.monotonic_s
        for minute, seconds in _uncounted_time(side, observed_s, elapsed_s):
            usage = _add_usage(minutes.get(minute, MinuteUsage()), side.last, reading, seconds, elapsed_s)
            if usage is not None:
                minutes[minute] = replace(usage, epoch=record["epoch"], labels=record["labels"])
    return SourceProgress(
        reading, max(side.minute, int(observed_s // MINUTE_S)), max(side.counted_until_s, observed_s), minutes
    )


def _uncounted_time(side: SourceProgress, observed_s: float, elapsed_s: float) -> Iterator[tuple[int, float]]:
    """Yields (minute, seconds in it) of the time since the last reading that is not counted yet."""
    if not 0 < elapsed_s <= MAX_GAP_S:
        return
    start_s = max(observed_s - elapsed_s, side.counted_until_s)
    for minute in range(max(int(start_s // MINUTE_S), side.minute), int(observed_s // MINUTE_S) + 1):
        seconds = min(observed_s, (minute + 1) * MINUTE_S) - max(start_s, minute * MINUTE_S)
        if seconds > 0:
            yield minute, seconds


def _add_usage(
    usage: MinuteUsage, before: SourceReading, now: SourceReading, seconds: float, elapsed_s: float
) -> MinuteUsage | None:
    """Returns a side's usage in a minute with some more seconds of it; None if a reading is unknown."""
    if now.cpu_ns is None or before.cpu_ns is None:
        if now.watts is None or before.watts is None:
            return None
        joules = usage.joules + (now.watts + before.watts) / 2 * seconds
        return replace(usage, covered_s=usage.covered_s + seconds, joules=joules)
    cpu_s, names = dict(usage.cpu_s), usage.names | now.names
    for key, old_ns in before.cpu_ns.items():
        new_ns = now.cpu_ns.get(key, -1)
        if new_ns >= old_ns:
            cpu_s[key[0]] = cpu_s.get(key[0], 0.0) + (new_ns - old_ns) / 1e9 * seconds / elapsed_s
    return replace(usage, covered_s=usage.covered_s + seconds, cpu_s=cpu_s, names=names)


def _power_reading(record: RedfishSample) -> SourceReading:
    return SourceReading(record["epoch"], record["monotonic_s"], analyze_record(record)["consumed_watts"], None, {})


def _cpu_reading(record: LibvirtSample) -> SourceReading:
    cpu_ns: dict[tuple[str, int | None], int] = {}
    names: dict[str, tuple[str, str]] = {}
    for domain in record["domains"]:
        if domain["cputime"] is not None and not domain["stale"]:
            cpu_ns[domain["uuid"], domain["domain_id"]] = domain["cputime"]
            names[domain["uuid"]] = (domain["vmid"], domain["name"])
    return SourceReading(record["epoch"], record["monotonic_s"], None, cpu_ns, names)


def _close_minutes(state: HostProgress) -> StepResult[HostProgress]:
    """Emits the minutes that both sides have passed, oldest first, and drops them from the state."""
    first_open = min(state.power.minute, state.libvirt.minute)
    closed = sorted(
        minute for minute in state.power.minutes.keys() | state.libvirt.minutes.keys() if minute < first_open
    )
    outputs: list[Output] = []
    for minute in closed:
        power, libvirt = state.power.minutes.get(minute), state.libvirt.minutes.get(minute)
        if power is not None and libvirt is not None and math.isfinite(power.joules):
            outputs.append(("vm-power", _estimate(state.host, minute, power, libvirt)))
    after = state._replace(
        power=_drop_minutes(state.power, first_open), libvirt=_drop_minutes(state.libvirt, first_open)
    )
    return after, outputs


def _drop_minutes(side: SourceProgress, first_kept: int) -> SourceProgress:
    """Returns a side without the minutes before `first_kept`."""
    return side._replace(minutes={minute: usage for minute, usage in side.minutes.items() if minute >= first_kept})


def _estimate(host: str, minute: int, power: MinuteUsage, libvirt: MinuteUsage) -> VmPower:
    total_cpu_s = sum(libvirt.cpu_s.values())
    watts = power.joules / power.covered_s
    is_partial = min(power.covered_s, libvirt.covered_s) < COVERED_S
    vms: list[VmWatts] = []
    for uuid, cpu_s in sorted(libvirt.cpu_s.items()):
        vmid, name = libvirt.names[uuid]
        share = cpu_s / total_cpu_s if total_cpu_s else 0.0
        vms.append(
            {
                "vmid": vmid,
                "name": name,
                "uuid": uuid,
                "cpu_seconds": cpu_s,
                "cpu_share": share,
                "estimated_watts": watts * share if total_cpu_s else None,
                "estimated_joules": power.joules * share if total_cpu_s else None,
                "partial": is_partial,
            }
        )
    start = datetime.fromtimestamp(minute * MINUTE_S, UTC)
    return {
        "host": host,
        "category": "power",
        "observed_at": start + timedelta(seconds=MINUTE_S),
        "minute": start,
        "epoch": libvirt.epoch,
        "labels": power.labels | libvirt.labels,
        "partial": is_partial,
        "method": "cpu-time",
        "host_watts": watts,
        "host_joules": power.joules,
        "power_covered_s": power.covered_s,
        "cpu_covered_s": libvirt.covered_s,
        "vms": vms,
    }


JOIN: Final = Join(
    name="vm-power",
    inputs=(POWER, LIBVIRT),
    outputs=("vm-power",),
    memory=MEMORY,
    apply={POWER: apply_power, LIBVIRT: apply_libvirt},
    advance_watermark=advance_watermark,
    is_waiting=is_waiting,
)
