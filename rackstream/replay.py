"""`rackstream replay`: brings the records of a stretch of time from Kafka into files or InfluxDB again.

Raw records go through the mounted steps again, warmed up from before the stretch, so that what is derived is
recomputed. It is taken from its own topic instead where Kafka does not hold all raw records that a step would need for
the same answer. Reads to the ends noted at the start, as a member of no group; writes to no topic.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from confluent_kafka import KafkaException, Message

from processors import rulebook
from processors.mounts import mounted
from processors.packs import builtin
from processors.restore import SLACK, appended_at
from processors.steps import Step
from rackstream.fence import Fence, Noted
from rackstream.refold import Ask, Fact, Refold
from runtime import kafka
from runtime.errors import Retry
from runtime.kafka import Span
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from sinks.replayed import Destination
from sinks.sink import Item

AHEAD: Final = timedelta(hours=1)
"""Records are found by time of arrival: those of a host whose clock is ahead by less than this are found too."""
TELL_S: Final = 2.0
"""Time between two words about how far it is."""


@dataclass
class Summary:
    """What a replay did."""

    since: str
    until: str
    read: int = 0
    """Records read, those that only warmed steps up among them."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows stored, by dataset; of a dry run those that would be."""
    there: dict[str, int] = field(default_factory=dict)
    """Rows left out because they are stored."""
    later: int = 0
    """Records left to the live pipeline, which has not stored them yet."""
    undecodable: int = 0
    failed: int = 0
    """Times a step failed on a record."""
    refused: int = 0
    """Records that the destination cannot take."""
    not_recomputed: list[str] = field(default_factory=list)
    """Derived topics whose records were taken as they are, at least on some partitions."""
    examples: list[str] = field(default_factory=list)
    """Why records failed or were refused."""

    def as_text(self, *, dry_run: bool) -> str:
        """Tables for people."""
        names = sorted({*self.rows, *self.there})
        lines = [f"{self.since} to {self.until}: {self.read:,} records read", f"{'dataset':34}    rows   there before"]
        lines += [f"{name:34} {self.rows.get(name, 0):>7,} {self.there.get(name, 0):>14,}" for name in names]
        counts = {"undecodable": self.undecodable, "failed in a step": self.failed, "refused": self.refused}
        lines += [f"{count:,} records {what}" for what, count in counts.items() if count]
        if self.later:
            lines.append(f"{self.later:,} records left to the files sink, which has not stored them yet")
        if self.not_recomputed:
            lines.append(f"not recomputed, for older raw records are gone: {', '.join(self.not_recomputed)}")
        lines += [f"  {example}" for example in self.examples]
        return "\n".join([*lines, "dry run: nothing was stored"] if dry_run else lines)


@dataclass
class _Plan:
    """What is read of one partition number, and what is made of it."""

    spans: dict[str, Span] = field(default_factory=dict)
    begin: dict[str, int] = field(default_factory=dict)
    """From where on the records of a topic count: before, they only warm the steps up."""
    steps: list[Step] = field(default_factory=list)
    recomputed: dict[str, set[str]] = field(default_factory=dict)
    """Output alias → input aliases."""


def topics_needed(aliases: Sequence[str]) -> tuple[str, ...]:
    """Those asked for, and the inputs of the steps whose outputs are."""
    inputs = [step.input for step in mounted() if set(step.outputs) & set(aliases)]
    return tuple(dict.fromkeys([*aliases, *inputs]))


class Replay:
    """One replay."""

    def __init__(
        self, settings: KafkaSettings, ask: Ask, noted: Noted, into: Destination, tell: Callable[[str], None]
    ) -> None:
        self._settings, self._ask, self._noted, self._into, self._tell = settings, ask, noted, into, tell
        self._decoders = {alias: decoder(settings, alias) for alias in noted.spans}
        self._told = time.monotonic()
        self._packs = builtin()
        self._summary = Summary(ask.range.since.isoformat(), ask.range.until.isoformat())

    def run(self) -> Summary:
        """Reads, steps and stores, one partition number after the other.

        Raises:
            Retry: Kafka or the destination is away; the same replay can be run again.
        """
        numbers = sorted({number for spans in self._noted.spans.values() for number in spans})
        try:
            self._packs = rulebook.read(self._settings)
            for at, number in enumerate(numbers, start=1):
                self._partition(number, f"partition {at} of {len(numbers)}")
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error
        tally, summary = self._into.tally, self._summary
        summary.rows = {name: count for name, count in sorted(tally.new.items()) if count}
        summary.there = {name: count for name, count in sorted(tally.there.items()) if count}
        summary.refused = tally.refused
        summary.examples += tally.examples
        return summary

    def _partition(self, number: int, where: str) -> None:
        plan = self._plan(number)
        fence = Fence(self._settings, self._noted, number, plan.recomputed)
        refold = Refold(self._settings.catalog, self._ask, plan.steps, plan.begin, self._packs)
        mine = [alias for alias in self._ask.aliases if number in self._noted.spans[alias]]
        self._into.open(number, mine)
        for alias, message in self._merged(number, plan.spans):
            self._summary.read += 1
            self._progress(where)
            if (record := self._decode(alias, message)) is None:
                continue
            for fact in refold.take(alias, message.offset(), record, appended_at(message)):
                self._put(fact, number, fence)
        self._summary.failed += len(refold.failures)
        self._summary.examples += refold.failures[: 5 - len(self._summary.examples)]
        self._into.commit(number, {alias: (plan.begin[alias], self._noted.end(alias, number)) for alias in mine})

    def _put(self, fact: Fact, number: int, fence: Fence) -> None:
        if not fence.takes(fact):
            self._summary.later += 1
            return
        name = self._settings.catalog[fact.alias].name
        self._into.put(Item(fact.alias, (name, number), fact.offset, fact.record))

    def _plan(self, number: int) -> _Plan:
        """From where each topic is read, and which steps run."""
        plan = _Plan()
        for alias, spans in self._noted.spans.items():
            if number in spans:
                plan.begin[alias] = self._at(alias, number, self._ask.range.since - AHEAD)
        wanted = set(self._ask.aliases)
        taken = {alias for alias in plan.begin if alias in wanted}
        starts = {alias: plan.begin[alias] for alias in taken}
        steps = {step: self._warm_up(step, number) for step in mounted() if step.input in plan.begin}
        # What several steps make is recomputed by all of them or taken as it is.
        gone = {alias for step, start in steps.items() if start is None for alias in wanted.intersection(step.outputs)}
        self._summary.not_recomputed = sorted({*self._summary.not_recomputed, *gone})
        needed = {alias for step in steps if wanted.intersection(step.outputs) - gone for alias in (step.via,) if alias}
        for step, start in steps.items():
            outputs = wanted.intersection(step.outputs) - gone
            if start is None or not (outputs or needed.intersection(step.outputs)):
                continue
            plan.steps.append(step)
            for alias in outputs:
                plan.recomputed.setdefault(alias, set()).add(step.input)
            starts[step.input] = min(start, starts.get(step.input, start))
        for alias, start in starts.items():
            if alias not in plan.recomputed:
                plan.spans[alias] = (start, self._noted.spans[alias][number][1])
        return plan

    def _warm_up(self, step: Step, number: int) -> int | None:
        """The offset from which a step must read to know at the beginning what it knew live; None: it is gone."""
        low, _ = self._noted.spans[step.input][number]
        if isinstance(step.memory, str):
            # The topic of its memory has the newest state only: the state of then follows from the first record on.
            return low if low == 0 else None
        start = self._at(step.input, number, self._ask.range.since - AHEAD - step.memory - SLACK)
        return start if start > low or low == 0 else None

    def _at(self, alias: str, number: int, appended: datetime) -> int:
        """The first offset appended at or after a time."""
        name = self._settings.catalog[alias].name
        found = kafka.offsets_at(self._settings, name, number, max(0, int(appended.timestamp() * 1000)))
        return min(found, self._noted.spans[alias][number][1])

    def _merged(self, number: int, spans: dict[str, Span]) -> Iterator[tuple[str, Message]]:
        """The records of all topics on one partition number, in the order in which they were appended."""

        def read(alias: str, span: Span) -> Iterator[tuple[int, str, Message]]:
            name = self._settings.catalog[alias].name
            for message in kafka.read(self._settings, name, {number: span}):
                yield message.timestamp()[1], alias, message

        streams = [read(alias, span) for alias, span in spans.items()]
        for _, alias, message in heapq.merge(*streams, key=lambda each: each[0]):
            yield alias, message

    def _decode(self, alias: str, message: Message) -> dict[str, Any] | None:
        try:
            return self._decoders[alias].decode(message.value()) if message.value() else None
        except codec.Undecodable:
            self._summary.undecodable += 1
            return None

    def _progress(self, where: str) -> None:
        if time.monotonic() - self._told >= TELL_S:
            self._told = time.monotonic()
            rows = sum(self._into.tally.new.values())
            self._tell(f"{where}: {self._summary.read:,} records read, {rows:,} rows")
