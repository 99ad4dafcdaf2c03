"""Folds steps over records: order, state, encoding and what to do when a step fails. Pure: no Kafka, no clock.

The same folding runs live (`app`), in the audit and in tests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from processors.alerting import rule_pack
from processors.engine.step import Context, Record, State, Step
from schemas import catalog, codec

Order = tuple[str, int]
"""(epoch, sequence): the order of one host's records of one category. Epochs sort by their start."""


LARGEST: Final = 8 * 1024 * 1024 - 4096
"""Bytes of key and value: what every topic takes, less what Kafka adds."""


@dataclass(frozen=True)
class Encoded:
    """One output, ready for Kafka."""

    alias: str
    key: bytes
    value: bytes
    record: Record
    is_memory: bool
    """A state record: sent only after the outputs it tells of are delivered."""
    partition: int | None = None
    """Where to: the partition of the record it comes from, where its memory and what was sent before are looked for."""


@dataclass
class Applied:
    """What one record led to."""

    outputs: list[Encoded] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """Steps that failed, by name. Their state is as before the record."""
    late: int = 0
    """Steps that had stepped this record, or one after it, already."""
    repeated: list[str] = field(default_factory=list)
    """Aliases of outputs not sent again, being on the topic already."""


def encode(
    topics: catalog.Catalog,
    alias: str,
    record: Record,
    memory: str | timedelta | None = None,
    partition: int | None = None,
) -> Encoded:
    """An output as it goes to Kafka; `memory`: that of its step; `partition`: where to, by its key if None.

    Raises:
        ValueError: it does not fit its schema, or is larger than Kafka takes: an output can be larger than its input,
            which names a domain once.
    """
    topic = topics[alias]
    value = codec.encode(catalog.schema(topic.schema), record)
    key = topic.key_of(record)
    if len(value) + len(key) > LARGEST:
        raise ValueError(f"{alias} of {len(value)} bytes, of which Kafka takes {LARGEST}")
    return Encoded(alias, key, value, record, alias == memory, partition)


class Partition:
    """The steps of one input topic on one of its partitions."""

    def __init__(self, topics: catalog.Catalog, steps: Sequence[Step], number: int | None = None) -> None:
        self._topics = topics
        self._number = number
        self.steps = steps
        self.packs = rule_pack.builtin()
        """The packs of rules that are on Kafka; whoever drives keeps them up to date."""
        self._following: dict[str, list[Step]] = {}
        for step in steps:
            if step.via is not None:
                self._following.setdefault(step.via, []).append(step)
        self._states: dict[tuple[str, str], State] = {}
        self._order: dict[tuple[str, str, str], Order] = {}
        self.present: set[tuple[str, tuple[Any, ...]]] = set()
        """(alias, identity) of outputs that a worker before this one has sent of what is now stepped again."""
        self.next_offset: int | None = None
        """Everything below has been stepped."""

    def remember(self, step: Step, state: Record) -> None:
        """Takes over a state read back from the step's memory topic."""
        if not step.owns(state):
            return
        key = (step.name, "" if step.subject is None else state[step.subject])
        self._states[key] = state if step.recall is None else step.recall(self._states.get(key), state)
        for each in state["as_of"]:
            if each["topic"] == (step.via or step.input):
                self._order[*key, each["category"]] = (each["epoch"], each["sequence"])

    def skip(self, record: Record, steps: Iterable[Step]) -> None:
        """Notes that steps have taken a record before: should it come again, or late, it is no news to them."""
        for step in steps:
            if step.wants(record):
                key, order = step.order_key(record), (record["epoch"], record["sequence"])
                self._order[key] = max(self._order.get(key, order), order)

    def apply(
        self, record: Record, steps: Iterable[Step] | None = None, *, appended_at: datetime | None = None
    ) -> Applied:
        """Steps one record.

        Args:
            record: a raw record.
            steps: only these (while states are rebuilt).
            appended_at: when it reached Kafka; default: as soon as it was observed.
        """
        applied = Applied()
        context = Context(appended_at or record["observed_at"], self.packs, record)
        wanted = self.steps if steps is None else tuple(steps)
        removed = record.get("category") == catalog.REMOVED
        for step in wanted:
            # That a host left is for what lasts; no other step makes anything of it that others are given.
            if isinstance(step.memory, str) if removed else step.via is None:
                self._step(step, record, context, applied, wanted)
        return applied

    def _step(self, step: Step, record: Record, context: Context, applied: Applied, wanted: Sequence[Step]) -> None:
        """Runs one step, then those that are given what it made."""
        if not step.wants(record):
            return
        key, order = step.order_key(record), (record["epoch"], record["sequence"])
        known = self._order.get(key)
        if known is not None and order <= known:
            applied.late += 1
            return
        before = self._states.get(key[:2])
        try:
            state, outputs = step.run(before, record, context) if step.contextual else step.run(before, record)
            encoded = [encode(self._topics, alias, output, step.memory, self._number) for alias, output in outputs]
        except Exception as error:  # noqa: BLE001  whatever a step trips over concerns this record only
            applied.failures.append((step.name, error))
            return
        self._states[key[:2]] = state
        self._order[key] = order
        for each in encoded:
            if not each.is_memory and self._is_present(each):
                applied.repeated.append(each.alias)
            else:
                applied.outputs.append(each)
        for alias, output in outputs:
            for following in self._following.get(alias, ()):
                if following in wanted:
                    self._step(following, output, context, applied, wanted)

    def _is_present(self, output: Encoded) -> bool:
        if not self.present:
            return False
        identity = (output.alias, self._topics[output.alias].identity_of(output.record))
        if identity not in self.present:
            return False
        self.present.discard(identity)
        return True


class StopLimit:
    """Says when failing is the code's fault rather than the records': a bad deploy must not drain a topic.

    More than half of at least 200 records, of at least 2 hosts, within 5 minutes. Undecodable bytes do not count.
    """

    WINDOW_S: Final = 300.0
    RECORDS: Final = 200

    def __init__(self) -> None:
        self._seen: deque[tuple[float, str, bool]] = deque()
        self._failed = 0

    def count(self, now_s: float, host: str, *, failed: bool) -> bool:
        """Notes one record; true if the process must stop."""
        self._seen.append((now_s, host, failed))
        self._failed += failed
        while self._seen[0][0] < now_s - self.WINDOW_S:
            self._failed -= self._seen.popleft()[2]
        if not failed or len(self._seen) < self.RECORDS or self._failed * 2 <= len(self._seen):
            return False
        return len({host for _, host, bad in self._seen if bad}) >= 2
