"""Reporting of dropped records, in the header of a later record of the same series. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from producers.publishing.spool import DroppedRange, merge_ranges
from schemas.records import SequenceRange

SeriesKey = tuple[str, str]
"""Host and category."""


@dataclass
class _Series:
    """Drops of one host and category."""

    drops: list[DroppedRange] = field(default_factory=list)
    carrier: tuple[str, int] | None = None
    """Epoch and sequence of the unconfirmed record that reports `carried`."""
    carried: list[DroppedRange] = field(default_factory=list)


class DropReporter:
    """Assigns drops to the records that report them.

    Only one record of a series reports drops at a time, until it is confirmed; so headers stay small.
    """

    def __init__(self, drops: Iterable[DroppedRange] = ()) -> None:
        """Starts with the unreported `drops` of earlier processes."""
        self._series: dict[SeriesKey, _Series] = {}
        for drop in drops:
            self.add(drop)

    def add(self, drop: DroppedRange) -> bool:
        """Adds a drop. Returns True if no other drop of its series is waiting to be reported."""
        series = self._series.setdefault((drop.host, drop.category), _Series())
        is_first = not series.drops
        if series.carrier and series.carrier[0] == drop.epoch and drop.first <= series.carrier[1] <= drop.last:
            series.carrier = None  # the record that was to report the others is dropped itself
        series.drops = merge_ranges([*series.drops, drop])
        return is_first

    def header_entries(self, key: SeriesKey, epoch: str) -> list[SequenceRange]:
        """Returns the ranges for the header of the next record of this epoch."""
        series = self._series.get(key)
        if series is None or series.carrier is not None:
            return []
        return [
            {
                "first": drop.first,
                "last": drop.last,
                "cause": drop.cause,
                "epoch": None if drop.epoch == epoch else drop.epoch,
            }
            for drop in series.drops
        ]

    def mark_reported(self, key: SeriesKey, epoch: str, sequence: int) -> None:
        """Marks all entries of `header_entries` as carried by this record."""
        series = self._series[key]
        series.carrier, series.carried = (epoch, sequence), list(series.drops)

    def confirm(self, key: SeriesKey, epoch: str, sequence: int) -> list[DroppedRange]:
        """Handles the delivery of a record. Returns the drops it has reported."""
        series = self._series.get(key)
        if series is None or series.carrier != (epoch, sequence):
            return []
        series.drops = [drop for drop in series.drops if drop not in series.carried]
        reported, series.carrier, series.carried = series.carried, None, []
        if not series.drops:
            del self._series[key]
        return reported
