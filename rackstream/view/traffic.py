"""How much is on the topics and how fast it comes, from their ends as they were asked for now and then. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from rackstream.view.answers import GroupRow, TopicRow
from schemas.catalog import Catalog

OVER_S: Final = 15.0
"""Rates are of about this time."""
ASKED: Final = 16
"""Answers that are kept for it."""
Ends = Mapping[str, tuple[int, int, int]]
"""Topic (alias) → partitions, records (ends less starts) and the sum of its ends."""


@dataclass(frozen=True)
class Answered:
    """What Kafka said at one moment."""

    at_s: float
    """Monotonic."""
    ends: Ends


@dataclass
class Traffic:
    """What is known of topics and groups."""

    asked_at: datetime | None = None
    groups: list[GroupRow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    answers: deque[Answered] = field(default_factory=lambda: deque(maxlen=ASKED))

    def note(self, answered: Answered, at: datetime) -> None:
        """Takes an answer."""
        self.answers.append(answered)
        while len(self.answers) > 2 and self.answers[1].at_s <= answered.at_s - OVER_S:
            self.answers.popleft()
        self.asked_at = at

    def rate(self, alias: str) -> float | None:
        """Records per second of a topic; None: not known yet."""
        known = [answer for answer in self.answers if alias in answer.ends]
        if len(known) < 2:
            return None
        first, last = known[0], known[-1]
        passed_s = last.at_s - first.at_s
        return max(0, last.ends[alias][2] - first.ends[alias][2]) / passed_s if passed_s > 0 else None

    def rows(self, catalog: Catalog) -> list[TopicRow]:
        """Every topic of the catalogue."""
        newest = self.answers[-1].ends if self.answers else {}
        found = []
        for alias, topic in catalog.topics.items():
            partitions, records, _ = newest.get(alias, (0, None, 0))
            found.append(TopicRow(alias, topic.name, partitions, records, self.rate(alias)))
        return found
