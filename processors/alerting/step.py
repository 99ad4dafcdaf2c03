"""The alert engine: judges readings by rules; emits raises, updates, clears and its memory of each host. Pure.

- Raised when `hold` records in a row breach; cleared when `clear_hold` in a row are past the clear threshold.
- Updated when the value has become worse by a step, at most once a minute by the time of observation.
- A reading that was not got (null, absent, stale, absurd) is neither good nor bad: the alert stays as it is.
- A component missing from `GONE_AFTER` whole records in a row is cleared as `gone`. A record that lacks a resource, or
  rates of a record of which something is stale, tell nothing of what they do not list.
- A host that is no target any more has no alerts: the last record of it (`catalog.REMOVED`) clears all as `gone`.
- A record that was old when it reached Kafka is not judged: what it says may long be over.
- The id is a hash of rule, host, component and first breach, so a replay finds the same alert again.
- A host has at most `MOST` alerts and breaches on hold per source; one more alert says that there are too many.
- The memory is written only when something but its order changed, and every 10 minutes while it is not empty:
  skipping what is at or before `as_of`, and stepping again what came after it, both end in the same state.

Each source (raw topic, or what a step makes of one) is judged by a step of its own with a memory of its own, so that
no order between topics matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from processors.alerting.evaluation import Key, Sitting
from processors.alerting.rule import FEEDS, Source
from processors.engine.step import WRITTEN_AGAIN, Context, Output, Record, Step
from schemas.catalog import REMOVED

MEMORY: Final = "state-alerts"
OLD: Final = 3
"""Intervals after which a reading is old."""
OLD_S: Final = timedelta(seconds=10)
"""It is never older than that with less: one-second polls wait longer than that for a busy machine."""
NONE: Final[Mapping[Key, Record]] = MappingProxyType({})


class State(NamedTuple):
    """What is remembered of one host: small while all is well, for there are many."""

    as_of: tuple[tuple[str, str, int], ...] = ()
    """(category, epoch, sequence) of the last record of each category."""
    active: Mapping[Key, Record] = NONE
    pending: Mapping[Key, Record] = NONE
    known: Mapping[Key, Record] = NONE
    written_at: Any = None


def is_old(record: Record, context: Context) -> bool:
    """Whether a record was no news any more when it reached Kafka."""
    interval_s = context.raw.get("interval_s", 0.0)
    # An interval that is no number is taken for none.
    patience = timedelta(seconds=OLD * min(interval_s, 86400.0)) if interval_s > 0 else OLD_S
    return bool(context.appended_at - record["observed_at"] > max(patience, OLD_S))


def run(source: Source, state: State | None, record: Record, context: Context) -> tuple[State, list[Output]]:
    """Judges one record; the outputs are transitions and, if anything changed, the new memory."""
    before = state or State()
    moved = before._replace(as_of=_advanced(before.as_of, record))
    removed = record["category"] == REMOVED
    if is_old(record, context) and not removed:
        return moved, []
    pack = context.packs.at(record["observed_at"], context.appended_at)
    sitting = Sitting(source, record, context.raw, pack.fingerprint)
    sitting.take(before.active, before.pending, before.known)
    if removed:
        sitting.end()
    else:
        for rule in pack.by_topic.get(source, ()):
            if rule.wants(record):
                sitting.hear(rule)
        sitting.miss(pack.by_name)
    outputs: list[Output] = [("alerts", transition) for transition in sitting.transitions]
    after = moved._replace(active=sitting.active or NONE, pending=sitting.pending or NONE, known=sitting.known or NONE)
    changed = after[1:4] != before[1:4]
    lasts = after.written_at is not None and record["observed_at"] - after.written_at >= WRITTEN_AGAIN
    if not changed and not (lasts and (after.active or after.pending or after.known)):
        return moved, outputs
    after = after._replace(written_at=record["observed_at"])
    return after, [*outputs, (MEMORY, _as_record(source, record["host"], after))]


def _advanced(as_of: tuple[tuple[str, str, int], ...], record: Record) -> tuple[tuple[str, str, int], ...]:
    category = record["category"]
    return (*(each for each in as_of if each[0] != category), (category, record["epoch"], record["sequence"]))


def _as_record(source: Source, host: str, state: State) -> Record:
    names = ("category", "epoch", "sequence")
    return {
        "host": host,
        "source": source,
        "as_of": [{"topic": source} | dict(zip(names, each, strict=True)) for each in state.as_of],
        "active": list(state.active.values()),
        "pending": list(state.pending.values()),
        "known": list(state.known.values()),
        "written_at": state.written_at,
    }


def recall(_: State | None, record: Record) -> State:
    """The state that a memory record tells."""

    def keyed(name: str) -> Mapping[Key, Record]:
        return {(each["rule"], each["component"]): each for each in record[name]} or NONE

    return State(
        tuple((each["category"], each["epoch"], each["sequence"]) for each in record["as_of"]),
        keyed("active"),
        keyed("pending"),
        keyed("known"),
        record["written_at"],
    )


def step(source: Source = "raw-redfish") -> Step:
    """The engine as a step over one source."""
    topic, via = FEEDS[source]
    return Step(
        name=f"alerts-{source}",
        input=topic,
        outputs=("alerts",),
        memory=MEMORY,
        run=lambda state, record, context: run(source, state, record, context),
        contextual=True,
        via=via,
        recall=recall,
        owns=lambda record: record["source"] == source,
    )


STEPS: Final = tuple(step(source) for source in FEEDS)
"""One for each source."""
