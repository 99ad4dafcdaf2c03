"""What a processor is: a pure step over records. No Kafka, no clock, no logging.

A step is `step(state, record) -> (state, outputs)`. It never mutates the state or the record it is given, and
never raises for what a producer may send. The same steps run live, in replay, in the audit and in tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from processors.alerting.rule_pack import Packs

Record = dict[str, Any]
State = Any
Output = tuple[str, Record]
"""(topic alias, record)."""


@dataclass(frozen=True)
class Context:
    """What a step is told of a record besides the record: as replayable as that, so steps that use it stay pure."""

    appended_at: datetime
    """When the raw record reached Kafka, by the broker's clock."""
    packs: Packs
    """The packs of rules that were on Kafka then."""
    raw: Record
    """The raw record: the one given, or the one it was made from."""


@dataclass(frozen=True)
class Step:
    """One processor, as the shell mounts it."""

    name: str
    input: str
    """Alias of the raw topic it reads."""
    outputs: tuple[str, ...]
    """Aliases of the topics it writes, its own memory not among them."""
    memory: timedelta | str
    """How its state survives a restart. A duration: the state depends on that much of the input and is rebuilt from
    it. An alias: the state *is* the newest record of that compacted topic, keyed by host, with the order in `as_of`."""
    run: Callable[..., tuple[State, list[Output]]]
    """The step itself, `run(state, record)`; its state is per host."""
    categories: frozenset[str] | None = None
    """Categories of the raw record it wants; None: all."""
    contextual: bool = False
    """Whether it is `run(state, record, context)`."""
    via: str | None = None
    """It is given not the record but what another step makes of it for the topic with this alias."""
    subject: str | None = "host"
    """The field that says whose state it is; None: there is one state."""
    series: str = "category"
    """The field that says, with the subject, which records have one order."""
    recall: Callable[[State | None, Record], State] | None = None
    """The state after one more record of its memory topic; None: the state is the record."""
    owns: Callable[[Record], bool] = lambda _: True
    """Whether a record of its memory topic is its own; several steps may share one."""

    def wants(self, record: Record) -> bool:
        """Whether the step is for this record."""
        return self.categories is None or record["category"] in self.categories

    def order_key(self, record: Record) -> tuple[str, str, str]:
        """What the record's order is counted by: step, subject, series."""
        return self.name, "" if self.subject is None else record[self.subject], record[self.series]


WRITTEN_AGAIN: Final = timedelta(minutes=10)
"""A state that lasts is written again this often, so that its topic shows that somebody still says so."""


Folded = tuple[State, list[Output]]


@dataclass(frozen=True)
class Join:
    """One processor with several inputs of one key: see `join`."""

    name: str
    inputs: tuple[str, ...]
    """Aliases of the raw topics it reads; of one partition group."""
    outputs: tuple[str, ...]
    memory: timedelta
    """Its state depends on that much of its inputs, by the time of appending."""
    take: Callable[[State | None, str, Record, int], Folded]
    """(state of the host, alias, record, time of appending in ms) → (state, outputs)."""
    quiet: Callable[[State, str, int], Folded]
    """(state, alias, ms): the side has had nothing more that was appended at or before that time."""
    waits: Callable[[State, str, int], bool]
    """Whether `quiet` of a side, up to that time of appending (ms), would settle something."""


def derived_header(raw: Record) -> Record:
    """The fields every derived record takes over from its raw record."""
    return {
        "host": raw["host"],
        "category": raw["category"],
        "observed_at": raw["observed_at"],
        "epoch": raw["epoch"],
        "sequence": raw["sequence"],
        "labels": raw["labels"],
    }


def advanced(as_of: list[Record], topic: str, record: Record) -> list[Record]:
    """The `as_of` of a memory record, with `record` of a raw topic (alias) as the last one applied of its category."""
    mine = {name: record[name] for name in ("category", "epoch", "sequence")}
    others = [each for each in as_of if (each["topic"], each["category"]) != (topic, record["category"])]
    return [*others, {"topic": topic} | mine]
