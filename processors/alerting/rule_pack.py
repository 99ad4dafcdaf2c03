"""Rule packs: their text format, its validation, and which pack is in force when. Pure.

A step gets its packs from its context and reads neither files nor topics: alerts depend on records alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import Field, ValidationError

from processors.alerting import templates
from processors.alerting.lint import RuleProblem, find_problems
from processors.alerting.rule import SECONDS_PER_DAY, Rule, RuleModel
from processors.engine.step import Context
from runtime.errors import Misconfigured
from schemas import catalog

BUILTIN_PATH: Final = Path(__file__).parents[1] / "rules.toml"
MAX_PACK_BYTES: Final = 1024 * 1024
MAX_RULES: Final = 1000
MAX_LINE_LENGTH: Final = 2000
"""The time for a key of many parts (`a.a.a`) grows with the square of its length."""
MAX_PROBLEMS: Final = 50
"""Errors that a message lists: to locate each takes a search of the text."""
MAX_PROBLEM_LENGTH: Final = 500
ACTIVATION_DELAY: Final = timedelta(seconds=5)
"""A pack applies only to records that reach Kafka at least this long after it: by then every worker has read it."""
TEXT_FIELDS: Final = frozenset({"value", "threshold", "component", "host"})
"""Fields that a text may use besides the reading's own."""


class PresenceSettings(RuleModel):
    """Section `presence`: when a producer is silent, a target has failed, and many failures become one alert."""

    beats: float = Field(default=3.0, ge=2, le=10_000)
    hold: int = Field(default=2, ge=1, le=10_000)
    group: int = Field(default=10, ge=2, le=1_000_000)
    group_within_s: float = Field(default=300.0, gt=0, le=SECONDS_PER_DAY)
    silent: Literal["warning", "critical"] = "critical"
    failing: Literal["warning", "critical"] = "warning"


class PackDocument(RuleModel):
    """The content of a rule pack file."""

    presence: PresenceSettings = PresenceSettings()
    rules: tuple[Rule, ...] = Field(default=(), max_length=MAX_RULES)


@dataclass(frozen=True)
class RuleSet:
    """A rule pack: rules and presence settings that are in force together."""

    document: PackDocument
    name: str = ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in file order."""
        return self.document.rules

    @property
    def presence(self) -> PresenceSettings:
        """The settings of the presence step."""
        return self.document.presence

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content: 16 hex digits."""
        content = self.document.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def by_topic(self) -> dict[str, tuple[Rule, ...]]:
        """Topic → its rules."""
        rules: dict[str, tuple[Rule, ...]] = {}
        for rule in self.rules:
            rules[rule.topic] = (*rules.get(rule.topic, ()), rule)
        return rules

    @cached_property
    def by_name(self) -> dict[str, Rule]:
        """Name → rule."""
        return {rule.name: rule for rule in self.rules}


@dataclass(frozen=True)
class AppliedPack:
    """A pack and when it was applied."""

    pack: RuleSet
    effective_from: datetime
    appended_at: datetime
    """When it reached Kafka."""


@dataclass(frozen=True)
class RulePackHistory:
    """All applied packs. Before the first one, the built-in pack is in force."""

    base: RuleSet
    applied: tuple[AppliedPack, ...] = ()
    """In order of `effective_from`; packs of the same time keep their order on the topic."""

    def pack_at(self, observed_at: datetime, appended_at: datetime) -> RuleSet:
        """Returns the pack in force for a record observed and appended to Kafka at these times."""
        for applied in reversed(self.applied):
            if applied.effective_from <= observed_at and applied.appended_at + ACTIVATION_DELAY <= appended_at:
                return applied.pack
        return self.base

    def with_pack(self, pack: AppliedPack) -> RulePackHistory:
        """Returns the history with one more pack."""
        packs = sorted([*self.applied, pack], key=lambda applied: applied.effective_from)
        return RulePackHistory(self.base, tuple(packs))


@cache
def builtin() -> RulePackHistory:
    """Returns the history without any applied pack."""
    return RulePackHistory(load())


def pack_in_force(context: Context, observed_at: datetime) -> RuleSet:
    """Returns the pack in force for a record observed at a time, from the context of its step."""
    packs = context.packs if context.packs is not None else builtin()
    pack: RuleSet = packs.pack_at(observed_at, context.appended_at)
    return pack


def from_rules(rules: Iterable[Rule], presence: PresenceSettings | None = None) -> RulePackHistory:
    """Returns a history in which these rules are always in force."""
    return RulePackHistory(RuleSet(PackDocument(rules=tuple(rules), presence=presence or PresenceSettings())))


class PackProblem(NamedTuple):
    """An error in the text of a pack."""

    line: int
    text: str


def load(path: Path = BUILTIN_PATH) -> RuleSet:
    """Reads and checks the pack in a file.

    Raises:
        Misconfigured: Lists every error with its line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {getattr(error, 'strerror', error)}; start from processors/rules.toml") from error
    pack = parse(text, path.name)
    if not pack.rules:
        raise Misconfigured(f"{path} has no [[rules]], so it would raise no alerts; start from processors/rules.toml")
    problems = [
        _problem(text, index, rule, problem) for index, rule in enumerate(pack.rules) for problem in find_problems(rule)
    ]
    if problems:
        raise _misconfigured(path.name, problems)
    return pack


def parse(text: str, name: str) -> RuleSet:
    """Parses the text of a pack. `name`: its file name, for messages.

    Raises:
        Misconfigured: Lists every error with its line.
    """
    if len(text.encode(errors="replace")) > MAX_PACK_BYTES:
        raise Misconfigured(f"{name} is larger than {MAX_PACK_BYTES} bytes; remove comments or rules")
    if text.count("[[") > 2 * MAX_RULES:
        raise Misconfigured(f"{name} has more than {MAX_RULES} rules")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > MAX_LINE_LENGTH:
            raise Misconfigured(f"{name}: line {number} is longer than {MAX_LINE_LENGTH} characters; break it")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{name} is not TOML: {str(error)[:MAX_PROBLEM_LENGTH]}") from error
    except (ValueError, RecursionError) as error:
        # Python reads no integer of more than 4300 digits, and no brackets nested a thousand deep.
        reason = "nested too deep" if isinstance(error, RecursionError) else "a number is too long"
        raise Misconfigured(f"{name} is not a rule pack: {reason}") from None
    try:
        pack = RuleSet(PackDocument.model_validate(document), name)
    except ValidationError as error:
        problems = []
        for details in error.errors(include_input=False, include_url=False)[:MAX_PROBLEMS]:
            path = ".".join(str(part) for part in details["loc"])[:MAX_PROBLEM_LENGTH]
            message = details["msg"].removeprefix("Value error, ")[:MAX_PROBLEM_LENGTH]
            problems.append(PackProblem(find_line(text, details["loc"]), f"{path}: {message}"))
        raise _misconfigured(name, problems + _name_problems(text, _valid_rules(document))) from None
    problems = _name_problems(text, dict(enumerate(pack.rules)))
    if problems:
        raise _misconfigured(name, problems)
    return pack


def _valid_rules(document: Mapping[str, object]) -> dict[int, Rule]:
    """Returns the valid rules of a document that has invalid ones, by position."""
    valid: dict[int, Rule] = {}
    rules = document.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        with suppress(ValidationError):
            valid[index] = Rule.model_validate(rule)
    return valid


def _name_problems(text: str, rules: Mapping[int, Rule]) -> list[PackProblem]:
    """Finds duplicate rule names and names of fields that records do not have. `rules`: by position."""
    problems: list[PackProblem] = []
    names: set[str] = set()
    for index, rule in rules.items():
        if len(problems) >= MAX_PROBLEMS:
            break
        if rule.name in names:
            line = find_line(text, ("rules", index, "name"))
            problems.append(PackProblem(line, f"{rule.name}: duplicate name; rename one of the rules"))
        names.add(rule.name)
        problems += [_problem(text, index, rule, problem) for problem in _unknown_fields(rule)]
    return problems


def _problem(text: str, index: int, rule: Rule, problem: RuleProblem) -> PackProblem:
    """Locates a problem of a rule in the text of its pack."""
    return PackProblem(find_line(text, ("rules", index, problem.key)), f"{rule.name}: {problem.key}: {problem.text}")


def _misconfigured(name: str, problems: Iterable[PackProblem]) -> Misconfigured:
    return Misconfigured("\n  ".join([f"{name}:", *(f"line {line}: {text}" for line, text in sorted(problems))]))


def _unknown_fields(rule: Rule) -> Iterable[RuleProblem]:
    """Finds keys of a rule that name a field its records do not have."""
    schema = catalog.load()[rule.topic].schema
    record_fields = _fields(schema)
    arrays = {name: item_fields for name, item_fields in record_fields.items() if item_fields is not None}
    if rule.readings is not None:
        if rule.readings not in arrays:
            yield RuleProblem(
                "readings", f"{schema} has no array {rule.readings!r}; it has {', '.join(sorted(arrays))}"
            )
            return
        reading_fields = arrays[rule.readings]
    else:
        reading_fields = frozenset(record_fields)
    used = [("value", rule.value), ("word", rule.word)]
    for key, limit in (("limit", rule.limit), ("clear", rule.clear)):
        used += [(key, name) for name in (limit.field_names if limit is not None else ())]
    for key, field in used:
        if field is not None and field not in reading_fields:
            yield RuleProblem(key, f"a reading has no field {field!r}; it has {', '.join(sorted(reading_fields))}")
    for key, template, extra in (("component", rule.component, frozenset()), ("text", rule.text, TEXT_FIELDS)):
        allowed = reading_fields | extra
        try:
            unknown = templates.field_names(template) - allowed
        except ValueError as error:
            yield RuleProblem(key, f"not a text with {{fields}}: {error}")
            continue
        if unknown:
            yield RuleProblem(
                key, f"a reading has no field {', '.join(sorted(unknown))}; it has {', '.join(sorted(allowed))}"
            )


@cache
def _fields(schema: str) -> dict[str, frozenset[str] | None]:
    """Returns a record's fields → the fields of its items if it is an array of records, else None."""
    fields: dict[str, frozenset[str] | None] = {}
    for field in catalog.schema(schema).definition["fields"]:
        items = field["type"].get("items") if isinstance(field["type"], dict) else None
        item_fields = items.get("fields") if isinstance(items, dict) else None
        fields[field["name"]] = frozenset(item["name"] for item in item_fields) if item_fields else None
    return fields


def find_line(text: str, location: tuple[int | str, ...]) -> int:
    """Returns the line of an error in a pack: that of its key, else of its rule, else of its section.

    Args:
        text: The pack.
        location: Keys and positions that lead to the value, as pydantic gives them.
    """
    lines = text.splitlines()
    keys = [str(part) for part in location[1:]]
    heading = rf"\[\[?\s*{re.escape(str(location[0]))}\s*\]\]?" if location else r"$^"
    headings = [number for number, line in enumerate(lines) if re.match(heading, line.strip())]
    if len(location) > 1 and isinstance(location[1], int):
        headings, keys = headings[location[1] :], keys[1:]
    if not headings:
        return 1
    start = headings[0]
    for number in range(start + 1, len(lines)):
        if lines[number].lstrip().startswith("["):
            break
        if keys and re.match(rf'\s*"?{re.escape(keys[0])}"?\s*[=.]', lines[number]):
            return number + 1
    return start + 1
