"""Silences on Kafka: creates and publishes them, and follows everything that mutes alerts now."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

from runtime import kafka
from runtime.compacted_topic import CompactedTopics
from runtime.errors import Misconfigured, Retry
from schemas import catalog, codec
from schemas.commands import DesiredState
from sinks.webhook import inhibition

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from schemas.records import Alert, Control, Matcher, PresenceState, Silence, TargetStatus

RETENTION: Final = timedelta(days=30)
"""An ended silence is kept as long as transitions are, as it shows which alerts may have been held back."""


class MutingState:
    """Silences, producers, targets and commands, followed on Kafka. Not thread-safe."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Reads the four topics completely.

        Raises:
            KafkaException: The broker did not answer.
        """
        self._topics = CompactedTopics(settings, "silences", "state-presence", "state-targets", "control")
        self._inhibited: dict[inhibition.TargetKey, str] = {}
        self._update_inhibited()

    def refresh(self) -> None:
        """Applies records that have arrived since."""
        if self._topics.refresh():
            self._update_inhibited()

    def _update_inhibited(self) -> None:
        self._inhibited = inhibition.inhibited_targets(self.presence, self.targets, self.desired)

    @property
    def silences(self) -> list[Silence]:
        """All silences, including those that have ended or not begun."""
        return [cast("Silence", silence) for silence in self._topics.tables["silences"].values()]

    @property
    def presence(self) -> list[PresenceState]:
        """State of each producer."""
        return [cast("PresenceState", state) for state in self._topics.tables["state-presence"].values()]

    @property
    def targets(self) -> list[TargetStatus]:
        """Status of each target."""
        return [cast("TargetStatus", status) for status in self._topics.tables["state-targets"].values()]

    @property
    def desired(self) -> DesiredState:
        """The commands that pause targets."""
        return DesiredState.from_records(
            cast("Control", command) for command in self._topics.tables["control"].values()
        )

    def muted_by(self, alert: Alert) -> list[str]:
        """Returns what mutes an alert now, as text for people; empty if it is not muted."""
        return inhibition.muted_by(alert, self.silences, self._inhibited, datetime.now(UTC))

    def is_inhibited(self, alert: Alert) -> bool:
        """True if the target whose readings raised an alert is inhibited now: the alert may have been held back."""
        return inhibition.target_of(alert) in self._inhibited

    def close(self) -> None:
        """Closes the connection to Kafka."""
        self._topics.close()


def new_silence(
    matchers: Iterable[tuple[str, str]], starts_at: datetime, ends_at: datetime, *, author: str, reason: str
) -> Silence:
    """Returns a silence with a new id.

    Raises:
        Misconfigured: It would match every alert, or never be active.
    """
    pairs: list[Matcher] = [{"name": name, "pattern": pattern} for name, pattern in matchers]
    if not pairs or all(set(matcher["pattern"]) == {"*"} for matcher in pairs):
        raise Misconfigured("a silence must not match every alert: give a matcher such as host=kvm-1")
    if ends_at <= max(starts_at, datetime.now(UTC)):
        raise Misconfigured(f"a silence that ends at {ends_at:%Y-%m-%d %H:%M:%S} UTC would never be active")
    return {
        "id": secrets.token_hex(6),
        "matchers": pairs,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "who": author,
        "why": reason,
        "created_at": datetime.now(UTC),
    }


def publish(settings: KafkaSettings, silence: Silence, delete: Iterable[str] = ()) -> None:
    """Publishes a new or changed silence, and deletes others by their ids.

    Raises:
        Retry: The broker did not confirm.
    """
    topic = settings.catalog["silences"]
    publisher = kafka.KafkaPublisher(settings, "rackstream-silences")
    record = dict(silence)
    publisher.send(topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record))
    for silence_id in delete:
        publisher.send(topic.name, silence_id.encode(), None)
    if publisher.flush(30) or publisher.delivery_failures:
        raise Retry(f"not confirmed by {settings.bootstrap}: {publisher.delivery_failures or 'no answer'}")
