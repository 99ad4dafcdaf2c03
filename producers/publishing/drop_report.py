"""Which records were dropped and have to be named by a later one of their host and category. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from producers.publishing.spool import Drop, merged

Key = tuple[str, str]
"""Host and category."""


@dataclass
class _Series:
    """Of one host and category."""

    drops: list[Drop] = field(default_factory=list)
    carrier: tuple[str, int] | None = None
    """Epoch and sequence of the record that names `carried`, and is not confirmed yet."""
    carried: list[Drop] = field(default_factory=list)


class Naming:
    """Ranges are named by one record at a time; until that is confirmed no other does, so that headers stay small."""

    def __init__(self, drops: Iterable[Drop] = ()) -> None:
        """`drops`: of earlier processes."""
        self._series: dict[Key, _Series] = {}
        for each in drops:
            self.take(each)

    def take(self, drop: Drop) -> bool:
        """Takes a drop in; whether it is the first to be named of its host and category."""
        series = self._series.setdefault((drop.host, drop.category), _Series())
        first = not series.drops
        if series.carrier and series.carrier[0] == drop.epoch and drop.first <= series.carrier[1] <= drop.last:
            series.carrier = None  # what was to name the others is dropped itself
        series.drops = merged([*series.drops, drop])
        return first

    def of(self, key: Key, epoch: str) -> list[dict[str, Any]]:
        """What the next record of this epoch has to name, as its header says it."""
        series = self._series.get(key)
        if series is None or series.carrier is not None:
            return []
        return [
            {
                "first": each.first,
                "last": each.last,
                "cause": each.cause,
                "epoch": None if each.epoch == epoch else each.epoch,
            }
            for each in series.drops
        ]

    def carried_by(self, key: Key, epoch: str, sequence: int) -> None:
        """This record names all that `of` gave."""
        series = self._series[key]
        series.carrier, series.carried = (epoch, sequence), list(series.drops)

    def confirmed(self, key: Key, epoch: str, sequence: int) -> list[Drop]:
        """A record was delivered; returns what it has named."""
        series = self._series.get(key)
        if series is None or series.carrier != (epoch, sequence):
            return []
        series.drops = [each for each in series.drops if each not in series.carried]
        named, series.carrier, series.carried = series.carried, None, []
        if not series.drops:
            del self._series[key]
        return named
