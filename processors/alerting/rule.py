"""One alert rule: what it is, and what it says of one reading. Pure.

Readings come from outside: what is no finite number, or none that could be true, is a reading that was not got.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Reading = Mapping[str, Any]
Source = Literal["raw-redfish", "raw-libvirt", "raw-host", "device-rates", "host-rates"]
FEEDS: Final[Mapping[Source, tuple[str, str | None]]] = {
    "raw-redfish": ("raw-redfish", None),
    "raw-libvirt": ("raw-libvirt", None),
    "raw-host": ("raw-host", None),
    "device-rates": ("raw-libvirt", "device-rates"),
    "host-rates": ("raw-host", "host-rates"),
}
"""What rules may judge: the raw topic it is or is made from, and, for what is made, the output of which step."""
ABSURD: Final = 1e15
"""No reading of a machine is larger, in any unit that we have."""


class Model(BaseModel):
    """Base: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(Model):
    """A share of another field of the reading, or a fixed value."""

    field: str | None = None
    plus: str | None = None
    """A field to add to it, such as writes to reads; where one of the two is unknown, so is their sum."""
    ratio: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    otherwise: float | None = Field(default=None, allow_inf_nan=False)
    """Where the reading has no such field, or one of 0 or less: some BMCs send 0 for "not set"."""
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """Never lower than this."""
    fixed: float | None = Field(default=None, allow_inf_nan=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a reading that it is a share of."""
        return tuple(each for each in (self.field, self.plus) if each is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Limit:
        if (self.field is None) == (self.fixed is None):
            raise ValueError("a limit is either fixed or a share of a field: give one of `fixed` and `field`")
        share = (self.plus, self.ratio, self.otherwise, self.at_least)
        if self.fixed is not None and share != (None, 1, None, None):
            raise ValueError("a fixed limit has no plus, ratio, otherwise or at_least: leave them out")
        return self

    def of(self, reading: Reading) -> float | None:
        """The limit for this reading, in its unit; None where there is none."""
        if self.field is None:
            return self.fixed
        own = number(reading.get(self.field))
        if self.plus is not None and own is not None:
            more = number(reading.get(self.plus))
            own = None if more is None else own + more
        if own is None or own < 0 or (own == 0 and self.at_least is None):
            return self.otherwise
        limit = own * self.ratio
        return limit if self.at_least is None else max(limit, self.at_least)


class Rule(Model):
    """One rule; `rules.toml` says what the fields mean."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)
    topic: Source
    category: str | None = None
    readings: str | None = None
    component: str = Field(min_length=1)
    value: str | None = None
    worse: Literal["above", "below"] = "above"
    limit: Limit | None = None
    clear: Limit | None = None
    plausible: tuple[float, float] | None = None
    step: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    word: str | None = None
    good: tuple[bool | int | str, ...] | None = None
    bad: tuple[bool | int | str, ...] | None = None
    missing: bool = False
    forget_s: float = Field(default=24 * 3600.0, gt=0)
    where: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    hold: int = Field(default=1, ge=1, le=10_000)
    clear_hold: int = Field(default=1, ge=1, le=10_000)
    severity: Literal["warning", "critical"]
    text: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Rule:
        if sum((self.value is not None, self.word is not None, self.missing)) != 1:
            raise ValueError("a rule judges one thing: give one of `value`, `word` and `missing`")
        if (self.value is not None) != (self.limit is not None) or (self.value is not None) != (self.clear is not None):
            raise ValueError("a value is judged by two limits: give `limit` and `clear` with `value`, and only with it")
        if (self.word is not None) != ((self.good is None) != (self.bad is None)):
            raise ValueError("a word is judged by a list: give `good` or `bad` with `word`, and only with it")
        return self

    def wants(self, record: Reading) -> bool:
        """Whether the rule is for this record: its category, host and labels."""
        if self.category is not None and self.category != record["category"]:
            return False
        if not self.where:
            return True
        labels = record["labels"] | {"host": record["host"]}
        return all(name in labels and fnmatchcase(labels[name], glob) for name, glob in self.where.items())


class Verdict(Enum):
    """What a reading says. A reading that was not got says nothing, and leaves an alert as it is."""

    BREACH = "breach"
    CLEAR = "clear"
    BETWEEN = "between"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judgement:
    """A verdict with what is behind it."""

    verdict: Verdict
    value: float | None = None
    threshold: float | None = None
    word: str | None = None


UNKNOWN: Final = Judgement(Verdict.UNKNOWN)


def number(value: object) -> float | None:
    """A number that a machine may have said, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -ABSURD <= value <= ABSURD and math.isfinite(value) else None


def judge(rule: Rule, reading: Reading) -> Judgement:
    """What a rule about a value or a word says of one reading."""
    if reading.get("state") == "Absent" or reading.get("stale"):
        return UNKNOWN
    return _judge_value(rule, reading) if rule.word is None else _judge_word(rule, reading.get(rule.word))


def _judge_word(rule: Rule, said: Any) -> Judgement:
    if said is None or said == "Unknown":
        return UNKNOWN
    well = said in rule.good if rule.good is not None else said not in (rule.bad or ())
    return Judgement(Verdict.CLEAR if well else Verdict.BREACH, word=bounded(said, 40))


def _judge_value(rule: Rule, reading: Reading) -> Judgement:
    assert rule.value is not None
    assert rule.limit is not None
    assert rule.clear is not None
    value, threshold, clear = number(reading.get(rule.value)), rule.limit.of(reading), rule.clear.of(reading)
    if value is None or threshold is None or clear is None:
        return UNKNOWN
    if rule.plausible is not None and not rule.plausible[0] <= value <= rule.plausible[1]:
        return UNKNOWN
    sign = 1 if rule.worse == "above" else -1
    if sign * value > sign * threshold:
        return Judgement(Verdict.BREACH, value, threshold)
    return Judgement(Verdict.CLEAR if sign * value < sign * clear else Verdict.BETWEEN, value, threshold)


def may_breach(rule: Rule, readings: Iterable[Reading]) -> bool:
    """Whether a reading is beyond the limit; quick where none is."""
    floor = rule.limit.at_least if rule.limit is not None and rule.worse == "above" else None
    name = rule.value or rule.word or ""
    for reading in readings:
        value = reading.get(name)
        if value is None or (floor is not None and value <= floor):
            continue
        if judge(rule, reading).verdict is Verdict.BREACH:
            return True
    return False


RANK: Final = {"OK": 0, "Warning": 1, "Critical": 2}


def worsened(rule: Rule, told: Reading, judgement: Judgement) -> bool:
    """Whether what an alert last told (`value`, `word`) has become worse by a step that is worth telling."""
    if rule.word is not None:
        before, now = RANK.get(told["word"]), RANK.get(judgement.word or "")
        return bool(judgement.word != told["word"]) if before is None or now is None else now > before
    if judgement.value is None or told["value"] is None or judgement.threshold is None:
        return False
    step = max(abs(judgement.threshold) * rule.step, 1e-9)
    return bool((judgement.value - told["value"]) * (1 if rule.worse == "above" else -1) >= step)


def bounded(value: object, most: int) -> str:
    """A value as text of at most `most` characters."""
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
