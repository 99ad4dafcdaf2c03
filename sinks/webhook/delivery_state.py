"""State of the deliveries to a receiver: which active alerts it was sent, and which are held back while muted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sinks.sink import Partition

if TYPE_CHECKING:
    from schemas.records import Alert

NEVER: Final = -1


@dataclass
class DeliveryEntry:
    """An active alert, and what was delivered of it."""

    alert: Alert
    """Its newest transition."""
    delivered_revision: int = NEVER
    """Newest revision that was delivered."""
    may_have_been_sent: bool = False
    """True if the receiver may have got the alert, so that its end must be delivered."""
    refused: bool = False
    """True if the receiver refuses it for good."""


class DeliveryState:
    """The active alerts of the owned partitions."""

    def __init__(self) -> None:
        self._partitions: dict[Partition, dict[str, DeliveryEntry]] = {}

    def open_partition(self, partition: Partition) -> None:
        """Adds a partition without active alerts."""
        self._partitions[partition] = {}

    def close_partition(self, partition: Partition) -> None:
        """Removes a partition."""
        self._partitions.pop(partition, None)

    def restore(self, partition: Partition, alert: Alert, *, delivered: bool) -> None:
        """Adds an alert that was active when the partition was taken over.

        Args:
            partition: Where the alert is.
            alert: Its newest transition.
            delivered: True if that transition was delivered; False if it may have been.
        """
        revision = alert["revision"] if delivered else NEVER
        self._partitions[partition][alert["id"]] = DeliveryEntry(alert, revision, may_have_been_sent=True)

    def should_deliver(self, partition: Partition, alert: Alert, *, muted: bool) -> bool:
        """True if a transition is to be delivered: not muted or, if cleared, of an alert that may have been sent."""
        if alert["transition"] != "cleared":
            return not muted
        entry = self._partitions[partition].get(alert["id"])
        return entry is None or entry.may_have_been_sent

    def mark_delivered(self, partition: Partition, alert: Alert, *, refused: bool = False) -> None:
        """Records that a transition was delivered, or refused for good."""
        entries = self._partitions[partition]
        if alert["transition"] == "cleared":
            entries.pop(alert["id"], None)
        else:
            may_have_been_sent = not refused or (alert["id"] in entries and entries[alert["id"]].may_have_been_sent)
            entries[alert["id"]] = DeliveryEntry(alert, alert["revision"], may_have_been_sent, refused)

    def mark_held_back(self, partition: Partition, alert: Alert) -> None:
        """Records that a transition was not delivered, because the alert is muted."""
        entries = self._partitions[partition]
        if alert["transition"] == "cleared":
            entries.pop(alert["id"], None)
        elif alert["id"] in entries:
            entries[alert["id"]].alert = alert
        else:
            entries[alert["id"]] = DeliveryEntry(alert)

    def due(self, is_muted: Callable[[Alert], bool]) -> Iterator[tuple[Partition, Alert]]:
        """Yields the newest transition of each alert that was held back and is not muted any more."""
        for partition, entries in self._partitions.items():
            for entry in list(entries.values()):
                if entry.delivered_revision < entry.alert["revision"] and not is_muted(entry.alert):
                    yield partition, entry.alert

    def delivered_alerts(self) -> list[Alert]:
        """Returns the active alerts whose newest transition was delivered."""
        return [
            entry.alert
            for entries in self._partitions.values()
            for entry in entries.values()
            if entry.delivered_revision == entry.alert["revision"] and not entry.refused
        ]
