"""Silences over HTTP: who may read sees them, who knows the token makes and ends them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from rackstream.alerts import silences
from rackstream.api.auth import Allowed
from rackstream.text.time_arguments import duration, moment
from rackstream.topics.schema_lookup import Connect
from rackstream.view.model import View
from runtime.errors import Misconfigured
from sinks.webhook import silences as silence_records

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Matcher(BaseModel):
    """One condition."""

    name: str
    """rule, host, severity, component, or a label."""
    pattern: str
    """`*` and `?` are wild."""


class Silence(BaseModel):
    """Alerts that match all of it are shown, but not delivered, for a time."""

    id: str
    matchers: list[Matcher]
    starts_at: datetime
    ends_at: datetime
    who: str
    why: str
    created_at: datetime


class NewSilence(BaseModel):
    """What a silence is made of."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    matchers: Annotated[dict[Text, Text], Field(min_length=1, max_length=50)]
    """Name → pattern, such as {"host": "kvm-*"}."""
    lasting: Annotated[str | None, Field(alias="for", max_length=50)] = None
    """How long, like 90m or 1d12h."""
    until: Annotated[str | None, Field(max_length=50)] = None
    """Or until when, in ISO 8601; UTC unless it says otherwise."""
    since: Annotated[str, Field(alias="from", max_length=50)] = "now"
    """From when on."""
    why: Text
    who: Text

    def as_record(self) -> dict[str, object]:
        """The silence.

        Raises:
            Misconfigured: it would match everything, or never hold, or a time is none.
        """
        if (self.lasting is None) == (self.until is None):
            raise Misconfigured("say how long: either `for` or `until`")
        now = datetime.now(UTC)
        begin = moment(self.since, now)
        try:
            end = moment(self.until, now) if self.until else begin + duration(self.lasting or "")
        except OverflowError:
            raise Misconfigured(f"{self.lasting} is too long") from None
        return silence_records.new_silence(self.matchers.items(), begin, end, who=self.who, why=self.why)


def routes(view: View, connect: Connect, allowed: Allowed) -> APIRouter:
    """Routes below `/api/silences`."""
    found = APIRouter(prefix="/api/silences", tags=["silences"])

    @found.get("")
    def listed(everything: bool = False) -> list[Silence]:  # noqa: FBT001, FBT002  FastAPI reads it from the query
        """Those that hold now or will; `everything`: those that have ended, too."""
        now = datetime.now(UTC)
        return [Silence(**each) for each in view.silences() if everything or each["ends_at"] > now]

    @found.post("", status_code=201, dependencies=[allowed])
    def add(new: NewSilence) -> Silence:
        """Makes one."""
        try:
            made = new.as_record()
        except Misconfigured as error:
            raise HTTPException(422, str(error)) from None
        silences.add(connect(), made)
        return Silence.model_validate(made)

    @found.delete("/{silence}", dependencies=[allowed])
    def end(silence: str) -> Silence:
        """Ends one now: what it muted and is still active is delivered."""
        settings = connect()
        try:
            [ended] = silences.end(settings, [silence])
        except Misconfigured:
            raise HTTPException(404, "no such silence that has not ended") from None
        return Silence(**ended)

    return found
