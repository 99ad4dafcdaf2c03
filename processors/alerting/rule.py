"""Alert rules: the definition of one rule, and its evaluation against one reading. Pure.

Readings come from outside: a value that is not a finite number, or not a plausible one, counts as a missing reading.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.header import RecordHeader

Reading = Mapping[str, Any]
"""A record, or an entry of one of its arrays. Rules name its fields, so it is not of one type."""
RuleTopic = Literal["raw-redfish", "raw-libvirt", "raw-host", "device-rates", "host-rates"]


class RuleInput(NamedTuple):
    """The records that the rules of one topic are evaluated on."""

    raw_topic: str
    """Alias of the raw topic that they are, or are derived from."""
    derived_topic: str | None
    """Alias of the derived topic that they are made for; None: the raw records themselves."""


RULE_INPUTS: Final[Mapping[RuleTopic, RuleInput]] = {
    "raw-redfish": RuleInput("raw-redfish", None),
    "raw-libvirt": RuleInput("raw-libvirt", None),
    "raw-host": RuleInput("raw-host", None),
    "device-rates": RuleInput("raw-libvirt", "device-rates"),
    "host-rates": RuleInput("raw-host", "host-rates"),
}
"""Topic of a rule → its input."""
MAX_PLAUSIBLE: Final = 1e15
"""No reading of a machine is larger, in any unit in use."""
SECONDS_PER_DAY: Final = 24 * 3600.0
MAX_FORGET_S: Final = 10 * 365 * SECONDS_PER_DAY


class RuleModel(BaseModel):
    """Base of the models of a rule pack: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(RuleModel):
    """A limit: a fixed value, or a share of another field of the reading."""

    field: str | None = None
    plus: str | None = None
    """A field to add to it, such as writes to reads; if either is missing, so is the sum."""
    ratio: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    otherwise: float | None = Field(default=None, allow_inf_nan=False)
    """The limit if the field is missing, or 0 or less: some BMCs send 0 for "not set"."""
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """The limit is never lower than this."""
    fixed: float | None = Field(default=None, allow_inf_nan=False)

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields of a reading that the limit depends on."""
        return tuple(name for name in (self.field, self.plus) if name is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Limit:
        if (self.field is None) == (self.fixed is None):
            raise ValueError("a limit is either fixed or a share of a field: give one of `fixed` and `field`")
        share = (self.plus, self.ratio, self.otherwise, self.at_least)
        if self.fixed is not None and share != (None, 1, None, None):
            raise ValueError("a fixed limit has no plus, ratio, otherwise or at_least: leave them out")
        return self

    def for_reading(self, reading: Reading) -> float | None:
        """Returns the limit for a reading, in the reading's unit; None if it has none."""
        if self.field is None:
            return self.fixed
        base = finite_number(reading.get(self.field))
        if self.plus is not None and base is not None:
            addend = finite_number(reading.get(self.plus))
            base = None if addend is None else base + addend
        if base is None or base < 0 or (base == 0 and self.at_least is None):
            return self.otherwise
        limit = base * self.ratio
        return limit if self.at_least is None else max(limit, self.at_least)


class Rule(RuleModel):
    """An alert rule; its fields are described in `rules.toml`."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)
    topic: RuleTopic
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
    forget_s: float = Field(default=SECONDS_PER_DAY, gt=0, le=MAX_FORGET_S)
    where: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    hold: int = Field(default=1, ge=1, le=10_000)
    clear_hold: int = Field(default=1, ge=1, le=10_000)
    severity: Literal["warning", "critical"]
    text: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Rule:
        if sum((self.value is not None, self.word is not None, self.missing)) != 1:
            raise ValueError("a rule has one subject: give one of `value`, `word` and `missing`")
        if (self.value is not None) != (self.limit is not None) or (self.value is not None) != (self.clear is not None):
            raise ValueError("a value needs two limits: give `limit` and `clear` with `value`, and only with it")
        if (self.word is not None) != ((self.good is None) != (self.bad is None)):
            raise ValueError("a word needs one list: give `good` or `bad` with `word`, and only with it")
        return self

    def applies_to(self, record: RecordHeader) -> bool:
        """True if a record matches the rule's category and `where`."""
        if self.category is not None and self.category != record["category"]:
            return False
        if not self.where:
            return True
        labels = record["labels"] | {"host": record["host"]}
        return all(name in labels and fnmatchcase(labels[name], pattern) for name, pattern in self.where.items())


class ReadingStatus(Enum):
    """A reading compared with a rule's limits. A missing reading is UNKNOWN, and leaves an alert as it is."""

    BREACH = "breach"
    CLEAR = "clear"
    BETWEEN = "between"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ReadingResult:
    """The result of evaluating a rule against a reading."""

    status: ReadingStatus
    value: float | None = None
    threshold: float | None = None
    word: str | None = None


UNKNOWN: Final = ReadingResult(ReadingStatus.UNKNOWN)


def finite_number(value: object) -> float | None:
    """Returns a value as a number, or None if it is none or beyond `MAX_PLAUSIBLE`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MAX_PLAUSIBLE <= value <= MAX_PLAUSIBLE and math.isfinite(value) else None


def evaluate_reading(rule: Rule, reading: Reading) -> ReadingResult:
    """Evaluates a rule about a value or a word against one reading."""
    if reading.get("state") == "Absent" or reading.get("stale"):
        return UNKNOWN
    return _evaluate_value(rule, reading) if rule.word is None else _evaluate_word(rule, reading.get(rule.word))


def _evaluate_word(rule: Rule, word: object) -> ReadingResult:
    if word is None or word == "Unknown":
        return UNKNOWN
    is_good = word in rule.good if rule.good is not None else word not in (rule.bad or ())
    return ReadingResult(ReadingStatus.CLEAR if is_good else ReadingStatus.BREACH, word=truncate(word, 40))


def _evaluate_value(rule: Rule, reading: Reading) -> ReadingResult:
    assert rule.value is not None
    assert rule.limit is not None
    assert rule.clear is not None
    value = finite_number(reading.get(rule.value))
    threshold, clear = rule.limit.for_reading(reading), rule.clear.for_reading(reading)
    if value is None or threshold is None or clear is None:
        return UNKNOWN
    if rule.plausible is not None and not rule.plausible[0] <= value <= rule.plausible[1]:
        return UNKNOWN
    sign = 1 if rule.worse == "above" else -1
    if sign * value > sign * threshold:
        return ReadingResult(ReadingStatus.BREACH, value, threshold)
    status = ReadingStatus.CLEAR if sign * value < sign * clear else ReadingStatus.BETWEEN
    return ReadingResult(status, value, threshold)


def any_breach(rule: Rule, readings: Iterable[Reading]) -> bool:
    """True if a reading breaches the rule. Fast for the common case that none does."""
    floor = rule.limit.at_least if rule.limit is not None and rule.worse == "above" else None
    name = rule.value or rule.word or ""
    for reading in readings:
        value = reading.get(name)
        if value is None or (floor is not None and value <= floor):
            continue
        if evaluate_reading(rule, reading).status is ReadingStatus.BREACH:
            return True
    return False


HEALTH_RANK: Final = {"OK": 0, "Warning": 1, "Critical": 2}


def has_worsened(rule: Rule, value: float | None, word: str | None, result: ReadingResult) -> bool:
    """True if a reading is worse than an alert's last one by enough for an update.

    Args:
        rule: The alert's rule.
        value: The alert's last value.
        word: The alert's last word.
        result: The reading.
    """
    if rule.word is not None:
        last_rank, rank = HEALTH_RANK.get(word or ""), HEALTH_RANK.get(result.word or "")
        return result.word != word if last_rank is None or rank is None else rank > last_rank
    if result.value is None or value is None or result.threshold is None:
        return False
    step = max(abs(result.threshold) * rule.step, 1e-9)
    return (result.value - value) * (1 if rule.worse == "above" else -1) >= step


def truncate(value: object, limit: int) -> str:
    """Returns a value as text of at most `limit` characters."""
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
