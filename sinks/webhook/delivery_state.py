"""Which active alerts a receiver knows, and which are held back because something mutes them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sinks.sink import Partition

Record = dict[str, Any]
NEVER: Final = -1


@dataclass
class Entry:
    """One active alert."""

    alert: Record
    """Its newest transition."""
    told: int = NEVER
    """Newest revision that was delivered."""
    known: bool = False
    """The receiver may know of it, so it must hear that it is over."""
    refused: bool = False
    """The receiver takes no such alert."""


class Ledger:
    """The active alerts of the partitions we hold."""

    def __init__(self) -> None:
        self._partitions: dict[Partition, dict[str, Entry]] = {}

    def open(self, partition: Partition) -> None:
        """Begins a partition with nothing active."""
        self._partitions[partition] = {}

    def close(self, partition: Partition) -> None:
        """Forgets a partition."""
        self._partitions.pop(partition, None)

    def recall(self, partition: Partition, alert: Record, *, told: bool) -> None:
        """An alert that was active when the partition was taken over; `told=False`: it is not known whether it was."""
        self._partitions[partition][alert["id"]] = Entry(alert, alert["revision"] if told else NEVER, known=True)

    def wants(self, partition: Partition, alert: Record, *, muted: bool) -> bool:
        """Whether a transition is delivered now. The end of an alert is, muted or not, unless nobody knows of it."""
        if alert["transition"] != "cleared":
            return not muted
        entry = self._partitions[partition].get(alert["id"])
        return entry is None or entry.known

    def delivered(self, partition: Partition, alert: Record, *, refused: bool = False) -> None:
        """A transition was delivered, or refused for good."""
        entries = self._partitions[partition]
        if alert["transition"] == "cleared":
            entries.pop(alert["id"], None)
        else:
            known = not refused or (alert["id"] in entries and entries[alert["id"]].known)
            entries[alert["id"]] = Entry(alert, alert["revision"], known, refused)

    def held_back(self, partition: Partition, alert: Record) -> None:
        """A transition was not delivered, because something mutes it."""
        entries = self._partitions[partition]
        if alert["transition"] == "cleared":
            entries.pop(alert["id"], None)
        elif alert["id"] in entries:
            entries[alert["id"]].alert = alert
        else:
            entries[alert["id"]] = Entry(alert)

    def due(self, muted: Callable[[Record], bool]) -> Iterator[tuple[Partition, Record]]:
        """What was held back and nothing mutes any more: the newest transition of each such alert."""
        for partition, entries in self._partitions.items():
            for entry in list(entries.values()):
                if entry.told < entry.alert["revision"] and not muted(entry.alert):
                    yield partition, entry.alert

    def told(self) -> list[Record]:
        """The active alerts that were delivered."""
        found = (entry for entries in self._partitions.values() for entry in entries.values())
        return [entry.alert for entry in found if entry.told == entry.alert["revision"] and not entry.refused]
