"""A host's watts over its VMs by CPU time, minute by minute: an estimate, and labelled as one. Pure.

Of each minute (UTC, of `observed_at`) one side adds up the energy between the BMC's power readings, the other each
VM's CPU time between libvirt's samples; what lies across the end of a minute is divided in proportion. A minute is
settled when both sides have passed its end; or 5 min later by the time of appending, with what was appended by then.
It is `partial` where the readings do not cover all of it. A minute of which one side has nothing is not estimated.

It keeps to these, so that a replay, and any interleaving of the two topics, finds the same:

- A side goes forward only: time that it has counted is not counted again, though a clock steps back.
- A record appended more than 5 min after, or before, the time it names is not used: a clock that is off, or records
  that come out of a producer's memory after an outage.
- Elapsed time is the producer's monotonic clock; nothing is added up over a restart, a gap longer than 5 min, a
  counter that fell, a stale domain or an unknown reading.
- A host without power readings has no estimate; nor has one whose VMs used no CPU time: its VMs have a share of 0 and
  no watts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from processors.engine.step import Folded, Join, Output, Record
from processors.power import analysis
from schemas.catalog import REMOVED

MINUTE_S: Final = 60
LATE_S: Final = 300
"""A minute is settled that long after its end, by the time of appending, whatever is missing."""
GAP_S: Final = 300.0
"""Nothing is added up over a longer gap between two readings."""
WHOLE_S: Final = 59.999
"""Covered this long, a minute is covered: the rest is rounding."""
MEMORY: Final = timedelta(minutes=15)
POWER: Final = "raw-redfish"
LIBVIRT: Final = "raw-libvirt"


class Reading(NamedTuple):
    """What the next reading of a side is compared with."""

    epoch: str
    monotonic_s: float
    watts: float | None
    cpu_ns: dict[tuple[str, int | None], int] | None
    """(UUID, domain id) → cumulative CPU time; None on the side of power."""
    names: dict[str, tuple[str, str]]
    """UUID → (vmid, name)."""


@dataclass(frozen=True)
class Part:
    """What one side says of one minute."""

    covered_s: float = 0.0
    joules: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    """UUID → CPU time."""
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    """UUID → (vmid, name)."""
    epoch: str = ""
    labels: dict[str, str] = field(default_factory=dict)


class Side(NamedTuple):
    """One source: its last reading, the minute it is in, and its minutes that are not settled."""

    last: Reading | None = None
    minute: int = 0
    """Minutes since 1970: those before take nothing more."""
    counted_s: float = 0.0
    """Seconds since 1970: up to there time has been counted."""
    parts: dict[int, Part] = {}  # noqa: RUF012  never changed in place


class State(NamedTuple):
    """Both sources of one host."""

    host: str
    power: Side = Side()
    libvirt: Side = Side()


def take(state: State | None, alias: str, record: Record, appended_ms: int) -> Folded:
    """Folds one record into its side; emits the minutes that it settles."""
    state = state or State(record["host"])
    if alias == POWER:
        power = _past(state.power, appended_ms)
        if record["category"] == "power" and (at_s := _moment(record, appended_ms)) is not None:
            power = _fold(power, _power(record), record, at_s)
        return _settle(state._replace(power=power))
    libvirt = _past(state.libvirt, appended_ms)
    if record["category"] != REMOVED and (at_s := _moment(record, appended_ms)) is not None:
        libvirt = _fold(libvirt, _cpu(record), record, at_s)
    return _settle(state._replace(libvirt=libvirt))


def quiet(state: State, alias: str, until_ms: int) -> Folded:
    """Settles what a side will say nothing more of, having had nothing more until a time of appending (ms)."""
    if alias == POWER:
        return _settle(state._replace(power=_past(state.power, until_ms)))
    return _settle(state._replace(libvirt=_past(state.libvirt, until_ms)))


def waits(state: State, alias: str, until_ms: int) -> bool:
    """Whether there is a minute that is overdue and only waits for this side."""
    side, due = (state.power if alias == POWER else state.libvirt), _due(until_ms)
    return any(side.minute <= minute <= due for each in (state.power, state.libvirt) for minute in each.parts)


def _due(appended_ms: int) -> int:
    """The last minute that is settled by this time of appending (ms), whatever is missing."""
    return (appended_ms // 1000 - LATE_S) // MINUTE_S - 1


def _past(side: Side, appended_ms: int) -> Side:
    """A side that goes on at a time of appending: what is due by then takes nothing more of it."""
    return side._replace(minute=max(side.minute, _due(appended_ms) + 1))


def _moment(record: Record, appended_ms: int) -> float | None:
    """When a record was observed, s since 1970; None if it cannot be believed."""
    at_s: float = record["observed_at"].timestamp()
    return at_s if abs(appended_ms / 1000 - at_s) <= LATE_S else None


def _fold(side: Side, now: Reading, record: Record, at_s: float) -> Side:
    """A side after one reading."""
    parts = dict(side.parts)
    if side.last is not None and side.last.epoch == now.epoch:
        elapsed_s = now.monotonic_s - side.last.monotonic_s
        for minute, seconds in _stretches(side, at_s, elapsed_s):
            part = _grown(parts.get(minute, Part()), side.last, now, seconds, elapsed_s)
            if part is not None:
                parts[minute] = replace(part, epoch=record["epoch"], labels=record["labels"])
    return Side(now, max(side.minute, int(at_s // MINUTE_S)), max(side.counted_s, at_s), parts)


def _stretches(side: Side, at_s: float, elapsed_s: float) -> Iterator[tuple[int, float]]:
    """(minute, seconds of it) of the time since the reading before, as far as it is not counted yet."""
    if not 0 < elapsed_s <= GAP_S:
        return
    began_s = max(at_s - elapsed_s, side.counted_s)
    for minute in range(max(int(began_s // MINUTE_S), side.minute), int(at_s // MINUTE_S) + 1):
        seconds = min(at_s, (minute + 1) * MINUTE_S) - max(began_s, minute * MINUTE_S)
        if seconds > 0:
            yield minute, seconds


def _grown(part: Part, last: Reading, now: Reading, seconds: float, elapsed_s: float) -> Part | None:
    """A side's part of a minute with some more seconds of it; None if they are not known."""
    if now.cpu_ns is None or last.cpu_ns is None:
        if now.watts is None or last.watts is None:
            return None
        joules = part.joules + (now.watts + last.watts) / 2 * seconds
        return replace(part, covered_s=part.covered_s + seconds, joules=joules)
    cpu_s, names = dict(part.cpu_s), part.names | now.names
    for key, before in last.cpu_ns.items():
        after = now.cpu_ns.get(key, -1)
        if after >= before:
            cpu_s[key[0]] = cpu_s.get(key[0], 0.0) + (after - before) / 1e9 * seconds / elapsed_s
    return replace(part, covered_s=part.covered_s + seconds, cpu_s=cpu_s, names=names)


def _power(record: Record) -> Reading:
    return Reading(record["epoch"], record["monotonic_s"], analysis(record)["consumed_watts"], None, {})


def _cpu(record: Record) -> Reading:
    known = [domain for domain in record["domains"] if domain["cputime"] is not None and not domain["stale"]]
    used = {(each["uuid"], each["domain_id"]): each["cputime"] for each in known}
    names = {each["uuid"]: (each["vmid"], each["name"]) for each in known}
    return Reading(record["epoch"], record["monotonic_s"], None, used, names)


def _settle(state: State) -> Folded:
    """Emits the minutes that both sides have behind them, oldest first, and forgets them."""
    reached = min(state.power.minute, state.libvirt.minute)
    minutes = sorted(each for each in state.power.parts.keys() | state.libvirt.parts.keys() if each < reached)
    outputs: list[Output] = []
    for minute in minutes:
        power, libvirt = state.power.parts.get(minute), state.libvirt.parts.get(minute)
        if power is not None and libvirt is not None and math.isfinite(power.joules):
            outputs.append(("vm-power", _estimate(state.host, minute, power, libvirt)))
    return state._replace(power=_from(state.power, reached), libvirt=_from(state.libvirt, reached)), outputs


def _from(side: Side, first: int) -> Side:
    """A side without the minutes before."""
    return side._replace(parts={minute: part for minute, part in side.parts.items() if minute >= first})


def _estimate(host: str, minute: int, power: Part, libvirt: Part) -> Record:
    used_s = sum(libvirt.cpu_s.values())
    watts = power.joules / power.covered_s
    partial = min(power.covered_s, libvirt.covered_s) < WHOLE_S
    vms = []
    for uuid, cpu_s in sorted(libvirt.cpu_s.items()):
        vmid, name = libvirt.names[uuid]
        share = cpu_s / used_s if used_s else 0.0
        vms.append(
            {
                "vmid": vmid,
                "name": name,
                "uuid": uuid,
                "cpu_seconds": cpu_s,
                "cpu_share": share,
                "estimated_watts": watts * share if used_s else None,
                "estimated_joules": power.joules * share if used_s else None,
                "partial": partial,
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
        "partial": partial,
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
    take=take,
    quiet=quiet,
    waits=waits,
)
