"""Alert rules: what they are, how a file of them is read, how one judges one reading. Pure but for reading the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.errors import Misconfigured

PACK = Path(__file__).with_name("rules.toml")


class Model(BaseModel):
    """Base: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(Model):
    """A share of the reading's own limit, or a fixed value where it names none."""

    field: str
    ratio: float = Field(gt=0)
    otherwise: float

    def of(self, reading: Mapping[str, Any]) -> float:
        """The limit for this reading, in its unit. A limit of 0 or less is none: some BMCs send 0 for "not set"."""
        own = reading.get(self.field)
        return own * self.ratio if own is not None and own > 0 else self.otherwise


class Rule(Model):
    """One rule; see `rules.toml`."""

    name: str
    topic: Literal["raw-redfish"]
    category: str
    readings: str
    component: str
    value: str | None = None
    health: str | None = None
    flag: str | None = None
    limit: Limit | None = None
    clear: Limit | None = None
    hold: int = Field(default=1, ge=1)
    clear_hold: int = Field(default=1, ge=1)
    severity: Literal["warning", "critical"]
    text: str

    @model_validator(mode="after")
    def _one_kind(self) -> Rule:
        by_value = (self.value, self.limit, self.clear)
        kinds = [all(part is not None for part in by_value), self.health is not None, self.flag is not None]
        half = any(part is not None for part in by_value) and not kinds[0]
        if half or sum(kinds) != 1:
            raise ValueError("a rule has either value, limit and clear, or health, or flag")
        return self


class Verdict(Enum):
    """What a reading says. A reading that was not got says nothing, and leaves an alert as it is."""

    BREACH = "breach"
    CLEAR = "clear"
    BETWEEN = "between"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judgement:
    """A verdict with the numbers behind it."""

    verdict: Verdict
    value: float | None = None
    threshold: float | None = None


def judge(rule: Rule, reading: Mapping[str, Any]) -> Judgement:
    """What one rule says of one reading."""
    if reading.get("state") == "Absent":
        return Judgement(Verdict.UNKNOWN)
    word = rule.health or rule.flag
    if word is not None:
        said, well = reading.get(word), "OK" if rule.health else False
        return Judgement(Verdict.UNKNOWN if said is None else Verdict.CLEAR if said == well else Verdict.BREACH)
    assert rule.value is not None
    assert rule.limit is not None
    assert rule.clear is not None
    value = reading.get(rule.value)
    if value is None:
        return Judgement(Verdict.UNKNOWN)
    threshold = rule.limit.of(reading)
    if value > threshold:
        return Judgement(Verdict.BREACH, value, threshold)
    return Judgement(Verdict.CLEAR if value < rule.clear.of(reading) else Verdict.BETWEEN, value, threshold)


def load(path: Path = PACK) -> tuple[Rule, ...]:
    """The rules in a file.

    Raises:
        Misconfigured: names every rule that is wrong.
    """
    try:
        document = tomllib.loads(path.read_text())
        rules = tuple(Rule.model_validate(entry) for entry in document.get("rules", ()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise Misconfigured(f"alert rules {path.name}: {error}") from error
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Misconfigured(f"alert rules {path.name}: named twice: {', '.join(twice)}")
    return rules
