"""What mutes alerts now: silences, producers and targets, followed on Kafka."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from runtime import kafka
from runtime.compacted_topic import Followed
from runtime.errors import Misconfigured, Retry
from schemas import catalog, codec
from sinks.webhook import inhibition

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings

KEPT: Final = timedelta(days=30)
"""A silence that ended is kept as long as transitions are: it tells which alerts may have been held back."""


class Situation:
    """The three tables that muting is decided by. Not thread-safe."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Reads them whole.

        Raises:
            KafkaException: the broker did not answer.
        """
        self._followed = Followed(settings, "silences", "state-presence", "state-targets")
        self._unheard: dict[inhibition.Target, str] = {}
        self._judge()

    def refresh(self) -> None:
        """Takes in what has changed."""
        if self._followed.refresh():
            self._judge()

    def _judge(self) -> None:
        tables = self._followed.tables
        self._unheard = inhibition.inhibited(tables["state-presence"].values(), tables["state-targets"].values())

    @property
    def silences(self) -> list[dict[str, Any]]:
        """All silences there are, those that have ended or not begun among them."""
        return list(self._followed.tables["silences"].values())

    @property
    def presence(self) -> list[dict[str, Any]]:
        """What is known of each producer."""
        return list(self._followed.tables["state-presence"].values())

    @property
    def targets(self) -> list[dict[str, Any]]:
        """How each target stands."""
        return list(self._followed.tables["state-targets"].values())

    def muted_by(self, alert: Mapping[str, Any]) -> list[str]:
        """What mutes an alert now; empty: nothing does."""
        return inhibition.muted_by(alert, self._followed.tables["silences"].values(), self._unheard, datetime.now(UTC))

    def is_unheard(self, alert: Mapping[str, Any]) -> bool:
        """Whether an alert is about readings of a target that is not heard now: it may have been held back."""
        return inhibition.target_of(alert) in self._unheard

    def close(self) -> None:
        """Lets go of Kafka."""
        self._followed.close()


def new_silence(
    matchers: Iterable[tuple[str, str]], starts_at: datetime, ends_at: datetime, *, who: str, why: str
) -> dict[str, Any]:
    """A silence of its own id.

    Raises:
        Misconfigured: it would match everything, or never hold.
    """
    made = [{"name": name, "pattern": pattern} for name, pattern in matchers]
    if not made or all(set(each["pattern"]) == {"*"} for each in made):
        raise Misconfigured("a silence of everything hides what nobody thought of: say which, such as host=kvm-1")
    if ends_at <= max(starts_at, datetime.now(UTC)):
        raise Misconfigured(f"a silence that ends at {ends_at:%Y-%m-%d %H:%M:%S} UTC would never hold")
    return {
        "id": secrets.token_hex(6),
        "matchers": made,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "who": who,
        "why": why,
        "created_at": datetime.now(UTC),
    }


def publish(settings: KafkaSettings, silence: Mapping[str, Any], forget: Iterable[str] = ()) -> None:
    """Puts a silence on Kafka, new or changed, and forgets others by their ids.

    Raises:
        Retry: the broker did not confirm.
    """
    topic = settings.catalog["silences"]
    publisher = kafka.Publisher(settings, "rackstream-silences")
    record = dict(silence)
    publisher.send(topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record))
    for each in forget:
        publisher.send(topic.name, each.encode(), None)
    if publisher.flush(30) or publisher.failures:
        raise Retry(f"not confirmed by {settings.bootstrap}: {publisher.failures or 'no answer'}")
