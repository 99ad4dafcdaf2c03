"""Verdict of a chaos run: the numbers of an audit that must be 0."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field

from rackstream.audit.audit import AuditResult
from rackstream.demo import fleet


@dataclass
class Verdict:
    """Sum of all audits of a run."""

    records: int = 0
    """Records audited."""
    lost: int = 0
    """Records missing on a topic or in a store, not stored at the end, or stored with another value."""
    stored_twice: int = 0
    out_of_order: int = 0
    false_alerts: int = 0
    """Alert transitions that do not follow from the rules, and alerts about conditions that were not simulated."""
    notes: list[str] = field(default_factory=list, repr=False)

    @property
    def passed(self) -> bool:
        """True if all numbers that must be 0 are 0."""
        return not (self.lost or self.stored_twice or self.out_of_order or self.false_alerts)

    def add_audit(self, where: str, result: AuditResult, *, expected_alerts: Collection[str] = ()) -> None:
        """Adds the result of an audit.

        Args:
            where: Name of the audited pipeline, for the notes.
            result: Result of the audit.
            expected_alerts: Alerts, as rule and host, that the faults caused rightly.
        """
        counts = result.audit
        self.records += sum(result.topics.values())
        # A wrong or invented alert is a false alert; a wrong or invented record means that the original is missing.
        self.lost += counts.lost + counts.pending + counts.wrong + counts.invented - result.false_alerts
        self.stored_twice += counts.twice  # counts rows; a record that is on its topic twice is stored once
        self.out_of_order += counts.late
        unexpected = [alert for alert in fleet.unexpected(result.raised) if alert not in expected_alerts]
        self.false_alerts += result.false_alerts + len(unexpected)
        self.notes += [f"{where}: {example}" for example in result.examples]
        self.notes += [f"{where}: unexpected alert {alert}" for alert in unexpected]
        if counts.pending:
            self.notes.append(f"{where}: {counts.pending} records are not stored")

    def add_missing(self, where: str, effects: Iterable[str]) -> None:
        """Counts expected effects of a fault that are missing as lost."""
        missing = list(effects)
        self.lost += len(missing)
        self.notes += [f"{where}: {effect}" for effect in missing]

    def as_json(self) -> str:
        """Returns the last line of the output."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "notes"})
