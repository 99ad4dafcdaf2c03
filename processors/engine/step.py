"""Step and Join: the two kinds of processor. Pure: no Kafka, no clock, no logging.

A step is a function `step(state, record) -> (state, outputs)`. It never mutates the state or the record it gets, and
never raises for anything a producer may send. The same steps run live, in a replay, in the audit and in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Protocol, TypeVar

from schemas.header import RecordHeader
from schemas.records import AsOf

StateT = TypeVar("StateT")
AnyRecord = Mapping[str, Any]
"""A record of any type, or of one that is known at run time only."""
RecordT = TypeVar("RecordT", bound=AnyRecord)
Output = tuple[str, AnyRecord]
"""(topic alias, record)."""
StepResult = tuple[StateT, list[Output]]
"""(state after the record, outputs)."""
REWRITE_INTERVAL: Final = timedelta(minutes=10)
"""An unchanged state record is written again after this long, so that readers of its topic can see it is current."""


class RulePacks(Protocol):
    """The alert rule packs over time. The engine hands them to steps and never inspects a pack."""

    def pack_at(self, observed_at: datetime, appended_at: datetime) -> Any:
        """Returns the pack in force for a record observed and appended to Kafka at these times."""


@dataclass(frozen=True)
class Context:
    """Facts about a record beyond its fields. They replay exactly, so steps that use them stay pure."""

    appended_at: datetime
    """When the raw record reached Kafka, by the broker's clock."""
    packs: RulePacks | None
    """The rule packs that were on Kafka at that time; None: the built-in one alone."""
    raw_record: AnyRecord
    """The raw record: the record itself, or the one that it was derived from."""


@dataclass(frozen=True)
class Step(Generic[StateT, RecordT]):
    """A processor with one input topic, as the engine runs it."""

    name: str
    input: str
    """Alias of the raw topic it reads."""
    outputs: tuple[str, ...]
    """Aliases of the topics it writes, except that of its own state."""
    memory: timedelta | str
    """How its state survives a restart. A duration: the state depends on that much of the input and is rebuilt from
    it. An alias: the state *is* the newest record of that compacted topic, keyed by host, with the order in `as_of`."""
    run: Callable[[StateT | None, RecordT], StepResult[StateT]] | None = None
    """The step function; it gets the state of the record's host."""
    run_with_context: Callable[[StateT | None, RecordT, Context], StepResult[StateT]] | None = None
    """The step function of a step that needs the context; exactly one of the two is set."""
    categories: frozenset[str] | None = None
    """Categories of raw records it accepts; None: all."""
    derived_from: str | None = None
    """Alias of a derived topic: its input is not the raw record but what another step makes of it for that topic."""
    state_key: str | None = "host"
    """Field of the record that the state is kept by; None: there is a single state."""
    sequence_key: str = "category"
    """Field that, with the state key, identifies a series of records in order."""
    restore: Callable[[StateT | None, Any], StateT] | None = None
    """Returns the state after one more record of its memory topic; None: the state is the record."""
    owns: Callable[[Any], bool] = lambda _: True
    """True if a record of its memory topic is its own: several steps may share a topic."""

    def apply(self, state: StateT | None, record: RecordT, context: Context) -> StepResult[StateT]:
        """Runs the step function."""
        if self.run_with_context is not None:
            return self.run_with_context(state, record, context)
        assert self.run is not None
        return self.run(state, record)

    def accepts(self, record: RecordT) -> bool:
        """True if the step processes records of this category."""
        return self.categories is None or record["category"] in self.categories

    def order_key(self, record: RecordT) -> tuple[str, str, str]:
        """Returns the key under which the record's order is tracked: step, state and series."""
        return self.name, "" if self.state_key is None else record[self.state_key], record[self.sequence_key]


AnyStep = Step[Any, Any]
"""A step, where neither its state nor its record matters."""


@dataclass(frozen=True)
class Join(Generic[StateT]):
    """A processor with several inputs of one key: see `join`."""

    name: str
    inputs: tuple[str, ...]
    """Aliases of the raw topics it reads; of one partition group."""
    outputs: tuple[str, ...]
    memory: timedelta
    """Its state depends on that much of its inputs, by append time."""
    apply: Mapping[str, Callable[[StateT | None, Any, int], StepResult[StateT]]] = field(hash=False)
    """Alias of an input → its step function, which gets the host's state, the record and its append time in ms."""
    advance_watermark: Callable[[StateT, str, int], StepResult[StateT]]
    """Emits the outputs that are final once an input (alias) has been read up to an append time (ms)."""
    is_waiting: Callable[[StateT, str, int], bool]
    """True if advancing an input's (alias) watermark to an append time (ms) would emit something."""


AnyJoin = Join[Any]
"""A join, where its state does not matter."""


def derived_header(raw: RecordHeader) -> RecordHeader:
    """Returns the fields that every derived record takes over from its raw record."""
    return {
        "host": raw["host"],
        "category": raw["category"],
        "observed_at": raw["observed_at"],
        "epoch": raw["epoch"],
        "sequence": raw["sequence"],
        "labels": raw["labels"],
    }


def advance_as_of(as_of: list[AsOf], topic: str, record: RecordHeader) -> list[AsOf]:
    """Returns the `as_of` of a memory record with `record` as the last one applied of its category.

    Args:
        as_of: The last record applied of each topic and category.
        topic: Alias of the record's topic.
        record: The raw record.
    """
    category = record["category"]
    others = [entry for entry in as_of if (entry["topic"], entry["category"]) != (topic, category)]
    return [*others, {"topic": topic, "category": category, "epoch": record["epoch"], "sequence": record["sequence"]}]
