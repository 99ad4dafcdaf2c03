"""Counts what should be there against what is: sequences of raw records, facts by identity. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Facts = dict[Hashable, list[Any]]
"""Identity → every record or row that claims to be this fact."""


@dataclass
class Tally:
    """How two sides compare."""

    lost: int = 0
    """Should be there and are not."""
    twice: int = 0
    """Are there more than once, counted as often as they are too many."""
    wrong: int = 0
    """Are there, with another value."""
    invented: int = 0
    """Are there and should not be."""
    examples: list[str] = field(default_factory=list)

    def note(self, what: str, identity: Hashable) -> None:
        """Keeps the first few of what was found."""
        if len(self.examples) < 5:
            self.examples.append(f"{what}: {identity}")


def compare(expected: Facts, found: Facts, *, complete: bool = True) -> Tally:
    """Facts by identity. `complete`: the expected side is whole, so that what is found beyond it is invented."""
    tally = Tally()
    for identity, values in expected.items():
        there = found.get(identity)
        if there is None:
            tally.lost += 1
            tally.note("lost", identity)
            continue
        if len(there) > 1:
            tally.twice += len(there) - 1
            tally.note("twice", identity)
        # One identity with two values (a status written twice in one microsecond) is right if it is either.
        if there[0] not in values:
            tally.wrong += 1
            tally.note("wrong", identity)
    if complete:
        for identity in found.keys() - expected.keys():
            tally.invented += len(found[identity])
            tally.note("invented", identity)
    return tally


def collect(pairs: Iterable[tuple[Hashable, Any]]) -> Facts:
    """Facts from (identity, value) pairs."""
    facts: Facts = {}
    for identity, value in pairs:
        facts.setdefault(identity, []).append(value)
    return facts


@dataclass
class Series:
    """The raw records of one topic and of one identity but for epoch and sequence, in the order of their partition."""

    seen: dict[str, set[int]] = field(default_factory=dict)
    """Sequences by epoch."""
    named: dict[str, set[int]] = field(default_factory=dict)
    """Sequences that a header says were dropped."""
    numbered: dict[str, int] = field(default_factory=dict)
    """Last sequence of an epoch, as the next epoch's first record names it."""
    newest: tuple[str, int] | None = None
    late: int = 0
    twice: int = 0

    def see(self, record: Record) -> None:
        """Takes the next record in."""
        epoch, sequence = record["epoch"], record["sequence"]
        sequences = self.seen.setdefault(epoch, set())
        if sequence in sequences:
            self.twice += 1
            return
        sequences.add(sequence)
        if self.newest is not None and (epoch, sequence) < self.newest:
            self.late += 1
        else:
            self.newest = (epoch, sequence)
        if record["previous_epoch"] is not None:
            self.numbered[record["previous_epoch"]] = record["previous_sequence"]
        for each in record["dropped"]:
            named = self.named.setdefault(each.get("epoch") or epoch, set())
            named.update(range(each["first"], each["last"] + 1))

    def gaps(self, *, from_start: bool) -> tuple[int, int]:
        """(lost, named): sequences missing without a word, and those a later header accounts for.

        Args:
            from_start: the topic still holds its first record, so that every epoch must begin at 0.
        """
        lost = named = 0
        for number, (epoch, sequences) in enumerate(sorted(self.seen.items())):
            begin = 0 if from_start or number else min(sequences)
            missing = set(range(begin, max(sequences))) - sequences
            accounted = missing & self.named.get(epoch, set())
            named += len(accounted)
            lost += len(missing) - len(accounted)
            # What a killed producer numbered last and could not hand over.
            named += max(0, self.numbered.get(epoch, -1) - max(sequences))
        named += sum(last + 1 for epoch, last in self.numbered.items() if epoch not in self.seen and from_start)
        return lost, named
