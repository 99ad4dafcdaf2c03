"""Runs steps over the records of one partition: order, state, encoding and failures. Pure: no Kafka, no clock.

The same code runs live (`worker`), in a replay, in the audit and in tests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from processors.engine.step import AnyRecord, AnyStep, Context, RulePacks
from schemas import catalog, codec
from schemas.records import AsOf

SeriesPosition = tuple[str, int]
"""(epoch, sequence): a record's place among those of one host and category. Epochs sort by their start."""
Identity = tuple[str, tuple[object, ...]]
"""(topic alias, identity of a record on it)."""
MAX_RECORD_BYTES: Final = 8 * 1024 * 1024 - 4096
"""Limit of key and value together: the topics' `max.message.bytes`, less Kafka's own overhead."""


@dataclass(frozen=True)
class EncodedOutput:
    """An output record, ready for Kafka."""

    alias: str
    key: bytes
    value: bytes
    record: AnyRecord
    is_memory: bool
    """True for a state record: it is sent only after the outputs that it accounts for are delivered."""
    partition: int | None = None
    """Partition of the input record, where restored workers look for state and outputs; None: chosen by the key."""


@dataclass
class ApplyResult:
    """Outputs and failures of the steps that one record went through."""

    outputs: list[EncodedOutput] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """(step name, error) of steps that failed. Their state is as before the record."""
    late: int = 0
    """Number of steps that had already applied this record, or a later one."""
    repeated: list[str] = field(default_factory=list)
    """Aliases of outputs that are not sent again, being on their topic already."""


def encode_output(
    topics: catalog.Catalog,
    alias: str,
    record: AnyRecord,
    memory: str | timedelta | None = None,
    partition: int | None = None,
) -> EncodedOutput:
    """Encodes an output record.

    Args:
        topics: The catalogue.
        alias: Topic of the record.
        record: The record.
        memory: `memory` of the step that made it.
        partition: The partition to send it to; None: chosen by the key.

    Raises:
        ValueError: The record does not fit its schema, or is larger than Kafka accepts: it can exceed its input,
            which names each domain only once.
    """
    topic = topics[alias]
    value = codec.encode(catalog.schema(topic.schema), record)
    key = topic.key_of(record)
    if len(value) + len(key) > MAX_RECORD_BYTES:
        raise ValueError(f"{alias} record of {len(value)} bytes exceeds Kafka's limit of {MAX_RECORD_BYTES}")
    return EncodedOutput(alias, key, value, record, alias == memory, partition)


class Partition:
    """The steps of one input topic on one of its partitions, with their states."""

    def __init__(self, topics: catalog.Catalog, steps: Sequence[AnyStep], number: int | None = None) -> None:
        self._topics = topics
        self._number = number
        self.steps = steps
        self.packs: RulePacks | None = None
        """The rule packs on Kafka, kept up to date by the caller; None: the built-in one alone."""
        self._derived_steps: dict[str, list[AnyStep]] = {}
        for step in steps:
            if step.derived_from is not None:
                self._derived_steps.setdefault(step.derived_from, []).append(step)
        self._states: dict[tuple[str, str], Any] = {}
        self._positions: dict[tuple[str, str, str], SeriesPosition] = {}
        self.published: set[Identity] = set()
        """Outputs that a previous worker has sent already for records that are now processed again."""
        self.next_offset: int | None = None
        """Every record below this offset has been applied."""

    def restore_state(self, step: AnyStep, state: AnyRecord) -> None:
        """Restores a state from a record of the step's memory topic."""
        if not step.owns(state):
            return
        key = (step.name, "" if step.state_key is None else state[step.state_key])
        self._states[key] = state if step.restore is None else step.restore(self._states.get(key), state)
        entries: list[AsOf] = state["as_of"]
        for entry in entries:
            if entry["topic"] == (step.derived_from or step.input):
                self._positions[*key, entry["category"]] = (entry["epoch"], entry["sequence"])

    def mark_applied(self, record: AnyRecord, steps: Iterable[AnyStep]) -> None:
        """Records that steps have applied a record already: it is late for them if it arrives again."""
        for step in steps:
            if step.accepts(record):
                key, position = step.order_key(record), (record["epoch"], record["sequence"])
                self._positions[key] = max(self._positions.get(key, position), position)

    def apply(
        self, record: AnyRecord, steps: Iterable[AnyStep] | None = None, *, appended_at: datetime | None = None
    ) -> ApplyResult:
        """Runs the steps over one record.

        Args:
            record: A raw record.
            steps: Run only these (while states are rebuilt).
            appended_at: When it reached Kafka; default: when it was observed.
        """
        result = ApplyResult()
        context = Context(appended_at or record["observed_at"], self.packs, record)
        enabled = self.steps if steps is None else tuple(steps)
        is_removal = record.get("category") == catalog.REMOVED_CATEGORY
        for step in enabled:
            # The removal of a host ends states that last, also of steps that read derived records: nothing derives
            # a record from it.
            if isinstance(step.memory, str) if is_removal else step.derived_from is None:
                self._apply_step(step, record, context, result, enabled)
        return result

    def _apply_step(
        self,
        step: AnyStep,
        record: AnyRecord,
        context: Context,
        result: ApplyResult,
        enabled: Sequence[AnyStep],
    ) -> None:
        """Runs one step, then the steps that read its outputs."""
        if not step.accepts(record):
            return
        key, position = step.order_key(record), (record["epoch"], record["sequence"])
        last_position = self._positions.get(key)
        if last_position is not None and position <= last_position:
            result.late += 1
            return
        try:
            state, outputs = step.apply(self._states.get(key[:2]), record, context)
            encoded = [
                encode_output(self._topics, alias, output, step.memory, self._number) for alias, output in outputs
            ]
        except Exception as error:  # noqa: BLE001  any failure of a step concerns this record only
            result.failures.append((step.name, error))
            return
        self._states[key[:2]] = state
        self._positions[key] = position
        for output in encoded:
            if not output.is_memory and self._is_published(output):
                result.repeated.append(output.alias)
            else:
                result.outputs.append(output)
        for alias, derived in outputs:
            for derived_step in self._derived_steps.get(alias, ()):
                if derived_step in enabled:
                    self._apply_step(derived_step, derived, context, result, enabled)

    def _is_published(self, output: EncodedOutput) -> bool:
        """True, once, for an output that a previous worker has sent."""
        if not self.published:
            return False
        identity = (output.alias, self._topics[output.alias].identity_of(output.record))
        if identity not in self.published:
            return False
        self.published.discard(identity)
        return True


class FailureLimit:
    """Detects that the code fails rather than the records: a bad deployment must not drain a topic.

    The limit is reached when more than half of at least 200 records, of at least 2 hosts, fail within 5 minutes.
    Undecodable bytes do not count.
    """

    WINDOW_S: Final = 300.0
    RECORDS: Final = 200

    def __init__(self) -> None:
        self._records: deque[tuple[float, str, bool]] = deque()
        self._failed = 0

    def record(self, now_s: float, host: str, *, failed: bool) -> bool:
        """Counts one record. Returns True if the process must stop."""
        self._records.append((now_s, host, failed))
        self._failed += failed
        while self._records[0][0] < now_s - self.WINDOW_S:
            self._failed -= self._records.popleft()[2]
        if not failed or len(self._records) < self.RECORDS or self._failed * 2 <= len(self._records):
            return False
        return len({host for _, host, has_failed in self._records if has_failed}) >= 2
