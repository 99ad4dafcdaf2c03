"""Joins the records of several topics of one host. Pure: no Kafka, no clock; time comes with the records.

A worker reads the topics of a join concurrently, in any interleaving, so the result must not depend on it. Each input
is therefore folded in its own order, and a result is emitted once all inputs have passed its time. An input without
traffic would hold results back for ever: once it has been read to its end, its watermark is advanced to an append
time, and what arrives on it for earlier results is no longer counted. A join's state is rebuilt from its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from processors.engine.partition import EncodedOutput, Identity, SeriesPosition, encode_output
from processors.engine.step import AnyJoin, AnyRecord, StepResult
from schemas import catalog
from schemas.header import RecordHeader


class JoinPartition:
    """A join on one partition number, with the states of its hosts."""

    def __init__(self, topics: catalog.Catalog, join: AnyJoin) -> None:
        self._topics = topics
        self.join = join
        self._states: dict[str, Any] = {}
        self._positions: dict[tuple[str, str, str], SeriesPosition] = {}
        self.next_offsets: dict[str, int] = {}
        """Input alias → offset: every record below it has been applied."""
        self.appended_ms = 0
        """The newest append time of all records: the join's clock."""
        self.published: set[Identity] = set()
        """Outputs that are on their topics already."""
        self.failures: list[Exception] = []

    def apply(self, alias: str, offset: int, record: AnyRecord, appended_ms: int) -> list[EncodedOutput]:
        """Applies one record of an input and returns the outputs; a record applied before has none."""
        if offset < self.next_offsets.get(alias, 0):
            return []
        self.next_offsets[alias] = offset + 1
        self.appended_ms = max(self.appended_ms, appended_ms)
        header = cast("RecordHeader", record)
        host, position = header["host"], (header["epoch"], header["sequence"])
        key = (alias, host, header["category"])
        if key in self._positions and position <= self._positions[key]:
            return []
        outputs = list(self._run(host, partial(self.join.apply[alias], self._states.get(host), record, appended_ms)))
        self._positions[key] = position
        return outputs

    def is_waiting(self, alias: str) -> bool:
        """True if advancing the watermark of an input would emit something."""
        return any(self.join.is_waiting(state, alias, self.appended_ms) for state in self._states.values())

    def advance_watermark(self, alias: str, until_ms: int) -> list[EncodedOutput]:
        """Emits the outputs that waited for an input, which has now been applied up to an append time."""
        return [
            output
            for host, state in list(self._states.items())
            if self.join.is_waiting(state, alias, until_ms)
            for output in self._run(host, partial(self.join.advance_watermark, state, alias, until_ms))
        ]

    def _run(self, host: str, function: Callable[[], StepResult[Any]]) -> Iterator[EncodedOutput]:
        """Runs a function of the join on a host's state and yields the outputs that are not published yet."""
        try:
            state, outputs = function()
            encoded = [encode_output(self._topics, alias, record) for alias, record in outputs]
        except Exception as error:  # noqa: BLE001  any failure of a join concerns this record only
            self.failures.append(error)
            return
        self._states[host] = state
        for output in encoded:
            identity = (output.alias, self._topics[output.alias].identity_of(output.record))
            if identity not in self.published:
                yield output
