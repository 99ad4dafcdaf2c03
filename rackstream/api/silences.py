"""Routes for silences: reading needs no token, creating and ending do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from rackstream.alerts import silences
from rackstream.api.auth import TokenCheck
from rackstream.text.time_arguments import parse_duration, parse_time
from rackstream.topics.schema_lookup import Connect
from rackstream.view.model import View
from runtime.errors import Misconfigured
from schemas.records import Silence
from sinks.webhook import silences as silence_records

Text = Annotated[str, Field(min_length=1, max_length=500)]


class SilenceMatcher(BaseModel):
    """A condition of a silence."""

    name: str
    """rule, host, severity, component, or a label."""
    pattern: str
    """Wildcards: `*` and `?`."""


class SilenceAnswer(BaseModel):
    """A silence: for its time, alerts that match all matchers are shown, but not delivered."""

    id: str
    matchers: list[SilenceMatcher]
    starts_at: datetime
    ends_at: datetime
    who: str
    why: str
    created_at: datetime


class NewSilence(BaseModel):
    """Fields of a silence to create."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    matchers: Annotated[dict[Text, Text], Field(min_length=1, max_length=50)]
    """Name → pattern, such as {"host": "kvm-*"}."""
    lasting: Annotated[str | None, Field(alias="for", max_length=50)] = None
    """Duration, such as 90m or 1d12h."""
    until: Annotated[str | None, Field(max_length=50)] = None
    """End, instead of a duration: ISO 8601, UTC unless it has an offset."""
    since: Annotated[str, Field(alias="from", max_length=50)] = "now"
    """Start."""
    why: Text
    who: Text

    def as_record(self) -> Silence:
        """Converts the fields to a record.

        Raises:
            Misconfigured: It would match everything or never be active, or a time is invalid.
        """
        if (self.lasting is None) == (self.until is None):
            raise Misconfigured("a duration is required: either `for` or `until`")
        now = datetime.now(UTC)
        start = parse_time(self.since, now)
        try:
            end = parse_time(self.until, now) if self.until else start + parse_duration(self.lasting or "")
        except OverflowError:
            raise Misconfigured(f"{self.lasting} is too long") from None
        return silence_records.new_silence(self.matchers.items(), start, end, author=self.who, reason=self.why)


def routes(view: View, connect: Connect, needs_token: TokenCheck) -> APIRouter:
    """Creates the routes below `/api/silences`."""
    router = APIRouter(prefix="/api/silences", tags=["silences"])

    @router.get("")
    def list_silences(everything: bool = False) -> list[SilenceAnswer]:  # noqa: FBT001, FBT002  from the query
        """Active and pending silences; `everything`: expired ones, too."""
        now = datetime.now(UTC)
        return [
            SilenceAnswer.model_validate(silence)
            for silence in view.silences()
            if everything or silence["ends_at"] > now
        ]

    @router.post("", status_code=201, dependencies=[needs_token])
    def add(new: NewSilence) -> SilenceAnswer:
        """Create a silence."""
        try:
            silence = new.as_record()
        except Misconfigured as error:
            raise HTTPException(422, str(error)) from None
        silences.add_silence(connect(), silence)
        return SilenceAnswer.model_validate(silence)

    @router.delete("/{silence}", dependencies=[needs_token])
    def end(silence: str) -> SilenceAnswer:
        """End a silence now. Alerts that it muted and that are still active are delivered."""
        settings = connect()
        try:
            [ended] = silences.end_silences(settings, [silence])
        except Misconfigured:
            raise HTTPException(404, "no such silence, or it has ended") from None
        return SilenceAnswer.model_validate(ended)

    return router
