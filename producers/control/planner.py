"""Planning of start and stop commands, and comparison of desired and actual state. Pure.

- A stop stops everything it names: start commands inside its scope are removed. A start leaves targets alone that a
  more specific command has stopped.
- Targets that a command does not name keep their state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Final, TypedDict, cast

from runtime.errors import Misconfigured
from schemas import commands
from schemas.commands import DesiredState, Scope
from schemas.records import Control, Desired, TargetStatus

TargetKey = tuple[str, str]
"""(source, host)."""
MAX_LISTED: Final = 100
"""Pending targets listed one by one; further ones are only counted."""
MAX_NAMED: Final = 5
"""Names listed in a sentence."""


class TargetCounts(TypedDict):
    """Numbers of targets by state."""

    targets: int
    running: int
    stopped: int
    pending: int
    """Targets whose state differs from the desired one."""


class PendingTarget(TypedDict):
    """A target whose state differs from the desired one."""

    source: str
    host: str
    status: str
    detail: str
    producer: str
    desired: Desired


class ControlSummary(TypedDict):
    """Commands in force and how far producers have applied them."""

    desired: list[Control]
    observed: dict[str, TargetCounts]
    """By source."""
    pending: list[PendingTarget]


class NoSuchTarget(Misconfigured):
    """A command names a target that does not exist."""


def check_scope(scope: Scope, targets: Collection[TargetKey], desired: DesiredState) -> None:
    """Checks that a scope includes a target or has been commanded before.

    Raises:
        NoSuchTarget: neither is the case; the message suggests what to do.
    """
    if scope == Scope() or scope.key in desired.commands or any(scope.includes(*target) for target in targets):
        return
    if not targets:
        raise NoSuchTarget("no targets are known yet: start a producer, which publishes its targets")
    hosts = {host for source, host in targets if scope.source in {None, source}}
    sources = ", ".join(sorted({source for source, _ in targets}))
    if not hosts:
        raise NoSuchTarget(f"{scope.source} has no targets; sources with targets: {sources}")
    of_source = "" if scope.source is None else f" of {scope.source}"
    matches = get_close_matches(scope.host or "", hosts, n=3)
    hint = f"; did you mean {' or '.join(matches)}?" if matches else "; `rackstream targets status` lists all"
    raise NoSuchTarget(f"no target{of_source} is called {scope.host}{hint}")


def plan_changes(desired: DesiredState, command: Control, targets: Iterable[TargetKey]) -> dict[str, Control | None]:
    """Returns the records to write for a command, by key; None deletes the record of that key.

    Args:
        desired: The state before the command.
        command: The command; its key has a known form.
        targets: All known targets.
    """
    changes: dict[str, Control | None] = {command["key"]: command}
    stop_scope = commands.parse_key(command["key"])
    if stop_scope is None or not commands.is_stop(command):
        return changes
    for key, earlier in desired.commands.items():
        scope = commands.parse_key(key)
        if scope is None or commands.is_stop(earlier) or key == stop_scope.key or not _overrides(scope, stop_scope):
            continue
        changes[key] = None
        # A start of a host that ends for one of its sources still applies to the host's other targets.
        others = [target for target in targets if scope.includes(*target) and not stop_scope.includes(*target)]
        without = DesiredState({name: record for name, record in desired.commands.items() if name != key})
        preserved = [
            Scope(*target).key
            for target in others
            if desired.command_for(*target) == earlier and without.stop_command_for(*target)
        ]
        changes |= {name: cast("Control", {**earlier, "key": name}) for name in preserved}
    return changes


def _overrides(start: Scope, stop: Scope) -> bool:
    """True if a start is more specific than a stop and applies to targets of it."""
    share_source = None in {stop.source, start.source} or stop.source == start.source
    share_host = None in {stop.host, start.host} or stop.host == start.host
    is_narrower = (start.host is not None, start.source is not None) > (stop.host is not None, stop.source is not None)
    return share_source and share_host and is_narrower


def apply_changes(desired: DesiredState, changes: Mapping[str, Control | None]) -> DesiredState:
    """Returns the desired state after changes."""
    after = {**desired.commands, **changes}
    return DesiredState({key: command for key, command in after.items() if command is not None}, desired.offset)


def is_applied(desired: DesiredState, status: TargetStatus) -> bool:
    """True if the target is in its desired state."""
    stop = desired.stop_command_for(status["source"], status["host"])
    if stop is None:
        return status["status"] != "stopped"
    # A target whose producer was stopped counts as stopped, whoever stopped it.
    return status["status"] == "stopped" and status["stopped_by"] in {None, stop["by"]}


def count_targets(desired: DesiredState, statuses: Iterable[TargetStatus]) -> TargetCounts:
    """Counts the targets that are polled, stopped, and not in their desired state."""
    counts: TargetCounts = {"targets": 0, "running": 0, "stopped": 0, "pending": 0}
    for status in statuses:
        counts["targets"] += 1
        counts["stopped" if status["status"] == "stopped" else "running"] += 1
        counts["pending"] += not is_applied(desired, status)
    return counts


def summarize(desired: DesiredState, statuses: Collection[TargetStatus]) -> ControlSummary:
    """Summarizes the desired state, target counts by source, and targets that differ."""
    sources = sorted({status["source"] for status in statuses})
    pending = [status for status in statuses if not is_applied(desired, status)]
    pending.sort(key=lambda status: (status["source"], status["host"]))
    return {
        "desired": sorted(desired.commands.values(), key=lambda command: _sort_key(command["key"])),
        "observed": {
            source: count_targets(desired, [status for status in statuses if status["source"] == source])
            for source in sources
        },
        "pending": [
            {
                "source": status["source"],
                "host": status["host"],
                "status": status["status"],
                "detail": status["detail"],
                "producer": status["producer"],
                "desired": "stopped" if desired.stop_command_for(status["source"], status["host"]) else "running",
            }
            for status in pending[:MAX_LISTED]
        ],
    }


def _sort_key(key: str) -> tuple[int, str]:
    scope = commands.parse_key(key) or Scope()
    return (scope.host is not None) * 2 + (scope.source is not None), key


def describe_result(desired: DesiredState, command: Control, statuses: Collection[TargetStatus]) -> str:
    """Describes the effect of a command on the targets it names, in a sentence."""
    scope = commands.parse_key(command["key"]) or Scope()
    action = "stopped" if commands.is_stop(command) else "started"
    still_stopped: list[TargetStatus] = []
    pending: list[TargetStatus] = []
    for status in statuses:
        if desired.stop_command_for(status["source"], status["host"]) and not commands.is_stop(command):
            still_stopped.append(status)
        elif not is_applied(desired, status):
            pending.append(status)
    total = "1 target" if len(statuses) == 1 else f"{len(statuses)} targets"
    text = f"{scope}: {action}, {total}"
    if pending:
        producers = ", ".join(sorted({status["producer"] for status in pending})[:MAX_NAMED])
        text = (
            f"{scope}: to be {action}; {len(pending)} of {total} pending until their producers ({producers}) "
            "apply the command"
        )
    if still_stopped:
        names = _join_names(f"{status['source']} of {status['host']}" for status in still_stopped)
        text += f". {len(still_stopped)} stay stopped by more specific commands: {names}"
    return text


def _join_names(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:MAX_NAMED]) + (
        f" and {len(ordered) - MAX_NAMED} more" if len(ordered) > MAX_NAMED else ""
    )


def create_command(scope: Scope, desired: Desired, *, author: str, reason: str, at: datetime) -> Control:
    """Creates a command."""
    return {"key": scope.key, "desired": desired, "at": at, "by": author, "reason": reason}
