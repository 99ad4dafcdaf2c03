"""What a command means for those there are, and what is commanded next to how targets stand. Pure.

- A stop stops all that it names: starts within it end. A start leaves alone what was stopped more closely.
- Of targets that a command does not name, nothing changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, Literal

from producers.control import commands
from producers.control.commands import Command, Orders, Scope
from runtime.errors import Misconfigured

Desired = Literal["running", "stopped"]
Status = Mapping[str, Any]
"""A TargetStatus."""
Target = tuple[str, str]
"""(source, host)."""
LISTED: Final = 100
"""Targets that are named one by one; beyond, they are counted."""
NAMED: Final = 5
"""The same in a sentence."""


class NoSuchTarget(Misconfigured):
    """A command names what is not there."""


def check(scope: Scope, targets: Collection[Target], orders: Orders) -> None:
    """That a command is about something: about targets that there are, or that it was about before.

    Raises:
        NoSuchTarget: it is about none; the message says what to do.
    """
    if scope == Scope() or scope.key in orders.commands or any(scope.holds(*target) for target in targets):
        return
    if not targets:
        raise NoSuchTarget("no target is known yet: start a producer, which tells of its targets")
    hosts = {host for source, host in targets if scope.source in {None, source}}
    sources = ", ".join(sorted({source for source, _ in targets}))
    if not hosts:
        raise NoSuchTarget(f"{scope.source} has no targets; there are some of {sources}")
    of = "" if scope.source is None else f" of {scope.source}"
    near = get_close_matches(scope.host or "", hosts, n=3)
    meant = f"; is it {' or '.join(near)}?" if near else "; `rackstream targets status` lists all"
    raise NoSuchTarget(f"no target{of} is called {scope.host}{meant}")


def plan(orders: Orders, command: Command, targets: Iterable[Target]) -> dict[str, Command | None]:
    """What to write, by key: the command, and for a stop what keeps it from holding for all that it names.

    Args:
        orders: what holds so far.
        command: what is commanded; its key is one of ours.
        targets: those there are.
    """
    changes: dict[str, Command | None] = {command["key"]: command}
    within = commands.scope(command["key"])
    if within is None or not commands.is_stop(command):
        return changes
    for key, other in orders.commands.items():
        scope = commands.scope(key)
        if scope is None or commands.is_stop(other) or key == within.key or not _covers(within, scope):
            continue
        changes[key] = None
        # A start of a host ends for one source of it: its other targets keep what it gave them.
        rest = [target for target in targets if scope.holds(*target) and not within.holds(*target)]
        without = Orders({name: each for name, each in orders.commands.items() if name != key})
        kept = [Scope(*each).key for each in rest if orders.about(*each) == other and without.stop(*each)]
        changes |= {name: dict(other) | {"key": name} for name in kept}
    return changes


def _covers(stop: Scope, start: Scope) -> bool:
    """Whether a start would hold for targets that a stop names."""
    source = None in {stop.source, start.source} or stop.source == start.source
    host = None in {stop.host, start.host} or stop.host == start.host
    narrower = (start.host is not None, start.source is not None) > (stop.host is not None, stop.source is not None)
    return source and host and narrower


def applied(orders: Orders, changes: Mapping[str, Command | None]) -> Orders:
    """The orders after changes."""
    after = {**orders.commands, **changes}
    return Orders({key: command for key, command in after.items() if command is not None}, orders.offset)


def obeyed(orders: Orders, status: Status) -> bool:
    """Whether a target stands as is commanded."""
    stop = orders.stop(status["source"], status["host"])
    if stop is None:
        return bool(status["status"] != "stopped")
    # What is stopped with its producer is stopped, whoever wanted what.
    return bool(status["status"] == "stopped" and status["stopped_by"] in {None, stop["by"]})


def counts(orders: Orders, statuses: Iterable[Status]) -> dict[str, int]:
    """How many targets there are, how many of them are polled, are stopped, and do not stand as is commanded."""
    found = {"targets": 0, "running": 0, "stopped": 0, "pending": 0}
    for status in statuses:
        found["targets"] += 1
        found["stopped" if status["status"] == "stopped" else "running"] += 1
        found["pending"] += not obeyed(orders, status)
    return found


def state(orders: Orders, statuses: Collection[Status]) -> dict[str, Any]:
    """What is commanded, and how that is obeyed: by source, and target by target where it is not."""
    sources = sorted({status["source"] for status in statuses})
    pending = [status for status in statuses if not obeyed(orders, status)]
    pending.sort(key=lambda status: (status["source"], status["host"]))
    return {
        "desired": sorted(orders.commands.values(), key=lambda command: _order(command["key"])),
        "observed": {
            source: counts(orders, [each for each in statuses if each["source"] == source]) for source in sources
        },
        "pending": [
            {name: status[name] for name in ("source", "host", "status", "detail", "producer")}
            | {"desired": "stopped" if orders.stop(status["source"], status["host"]) else "running"}
            for status in pending[:LISTED]
        ],
    }


def _order(key: str) -> tuple[int, str]:
    scope = commands.scope(key) or Scope()
    return (scope.host is not None) * 2 + (scope.source is not None), key


def message(orders: Orders, command: Command, statuses: Collection[Status]) -> str:
    """What has come of a command, for people; `statuses`: of the targets that it names."""
    scope = commands.scope(command["key"]) or Scope()
    done = "stopped" if commands.is_stop(command) else "started"
    kept, waiting = [], []
    for status in statuses:
        if orders.stop(status["source"], status["host"]) and not commands.is_stop(command):
            kept.append(status)
        elif not obeyed(orders, status):
            waiting.append(status)
    of = "1 target" if len(statuses) == 1 else f"{len(statuses)} targets"
    said = f"{scope}: {done}, {of}"
    if waiting:
        who = ", ".join(sorted({each["producer"] for each in waiting})[:NAMED])
        said = f"{scope}: to be {done}; {len(waiting)} of {of} not yet: their producers ({who}) do so when they run"
    if kept:
        names = _named(f"{each['source']} of {each['host']}" for each in kept)
        said += f". {len(kept)} stay stopped, for commands that name them more closely: {names}"
    return said


def _named(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")


def new(scope: Scope, desired: Desired, *, by: str, reason: str, at: datetime) -> Command:
    """A command."""
    return {"key": scope.key, "desired": desired, "at": at, "by": by, "reason": reason}
