"""What an audit says, as the few numbers that must be 0."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field

from rackstream.audit.audit import Finding
from rackstream.demo import fleet


@dataclass
class Verdict:
    """The last line."""

    records: int = 0
    """On topics and judged."""
    lost: int = 0
    """Missing on a topic or in a store, still not stored at the end, or there with another value."""
    stored_twice: int = 0
    out_of_order: int = 0
    false_alerts: int = 0
    """Transitions that the rules do not lead to, and alerts of what was not simulated."""
    notes: list[str] = field(default_factory=list, repr=False)

    @property
    def healthy(self) -> bool:
        """Whether all that must be 0 is."""
        return not (self.lost or self.stored_twice or self.out_of_order or self.false_alerts)

    def add(self, where: str, found: Finding, *, true: Collection[str] = ()) -> None:
        """Takes an audit in. `true`: alerts, as rule and host, that the faults have brought about rightly."""
        counts = found.audit
        self.records += sum(found.topics.values())
        # What is wrong or invented of alerts is a false alert; of anything else, the record that was sent is not there.
        self.lost += counts.lost + counts.pending + counts.wrong + counts.invented - found.false_alerts
        self.stored_twice += counts.twice  # rows; a record that is on the topic twice has its rows once
        self.out_of_order += counts.late
        unexpected = [each for each in fleet.unexpected(found.raised) if each not in true]
        self.false_alerts += found.false_alerts + len(unexpected)
        self.notes += [f"{where}: {example}" for example in found.examples]
        self.notes += [f"{where}: unexpected alert {each}" for each in unexpected]
        if counts.pending:
            self.notes.append(f"{where}: {counts.pending} records are not stored")

    def miss(self, where: str, what: Iterable[str]) -> None:
        """Takes in what a fault should have led to, and did not."""
        missing = list(what)
        self.lost += len(missing)
        self.notes += [f"{where}: {each}" for each in missing]

    def as_json(self) -> str:
        """The last line."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "notes"})
