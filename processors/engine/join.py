"""Joins the records of several topics of one host. Pure: no Kafka, no clock; time is what the records say.

A worker reads the topics of a join side by side, in whatever interleaving they come: the answer must not depend on it.
So each side folds its own records in their own order, and a fact is emitted when both sides are far enough, or when a
side is known to have had nothing more up to a time of appending (`quiet`). What a side had not told until then is not
counted afterwards. The shell keeps a join's memory as that of any step: it is rebuilt from what was read before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from processors.engine.partition import Encoded, Order, encode
from processors.engine.step import Folded, Join, Record, State
from schemas import catalog


class Joint:
    """One join on one partition number."""

    def __init__(self, topics: catalog.Catalog, join: Join) -> None:
        self._topics = topics
        self.join = join
        self._states: dict[str, State] = {}
        self._order: dict[tuple[str, str, str], Order] = {}
        self.next: dict[str, int] = {}
        """Alias → offset: what is below has been folded."""
        self.appended_ms = 0
        """The newest time of appending seen: the join's clock."""
        self.present: set[tuple[str, tuple[Any, ...]]] = set()
        """(alias, identity) of outputs that are on their topics already."""
        self.failures: list[Exception] = []

    def take(self, alias: str, offset: int, record: Record, appended_ms: int) -> list[Encoded]:
        """Folds one record; one that was folded before leads to nothing."""
        if offset < self.next.get(alias, 0):
            return []
        self.next[alias] = offset + 1
        self.appended_ms = max(self.appended_ms, appended_ms)
        host = record["host"]
        key, order = (alias, host, record["category"]), (record["epoch"], record["sequence"])
        if key in self._order and order <= self._order[key]:
            return []
        found = self._apply(host, lambda: self.join.take(self._states.get(host), alias, record, appended_ms))
        self._order[key] = order
        return list(found)

    def waiting(self, alias: str) -> bool:
        """Whether it would help to know that a side has had nothing more."""
        return any(self.join.waits(state, alias, self.appended_ms) for state in self._states.values())

    def quiet(self, alias: str, until_ms: int) -> list[Encoded]:
        """Takes note that of a side everything appended at or before a time has been folded."""
        return [
            each
            for host, state in list(self._states.items())
            if self.join.waits(state, alias, until_ms)
            for each in self._apply(host, lambda state=state: self.join.quiet(state, alias, until_ms))  # type: ignore[misc]
        ]

    def _apply(self, host: str, fold: Callable[[], Folded]) -> Iterator[Encoded]:
        try:
            state, outputs = fold()
            encoded = [encode(self._topics, alias, record) for alias, record in outputs]
        except Exception as error:  # noqa: BLE001  whatever a join trips over concerns this record only
            self.failures.append(error)
            return
        self._states[host] = state
        for each in encoded:
            identity = (each.alias, self._topics[each.alias].identity_of(each.record))
            if identity not in self.present:
                yield each
