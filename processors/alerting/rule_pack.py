"""Packs of rules: how their text is read and checked, and which pack judges when. Pure.

A step is told of packs by its context, never by reading a file or a topic: what is judged depends on records alone.
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
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from processors.alerting import templates
from processors.alerting.lint import pointless
from processors.alerting.rule import Model, Rule
from runtime.errors import Misconfigured
from schemas import catalog

PACK: Final = Path(__file__).parents[1] / "rules.toml"
LEAD: Final = timedelta(seconds=5)
"""A pack judges no record that reached Kafka sooner than this after the pack: until then every worker has it."""
EXTRA: Final = frozenset({"value", "threshold", "component", "host"})
"""What a text may name besides the reading's fields."""


class Presence(Model):
    """Section `presence`: when a producer is silent, when a target has failed, when many are told as one."""

    beats: float = Field(default=3.0, ge=2)
    hold: int = Field(default=2, ge=1)
    group: int = Field(default=10, ge=2)
    group_within_s: float = Field(default=300.0, gt=0)
    silent: Literal["warning", "critical"] = "critical"
    failing: Literal["warning", "critical"] = "warning"


class Document(Model):
    """A whole file."""

    presence: Presence = Presence()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Pack:
    """Rules that judge together."""

    document: Document
    name: str = ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, as in the file."""
        return self.document.rules

    @property
    def presence(self) -> Presence:
        """What presence goes by."""
        return self.document.presence

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what the rules say: 16 hex digits."""
        said = self.document.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def by_topic(self) -> dict[str, tuple[Rule, ...]]:
        """Source → its rules."""
        found: dict[str, tuple[Rule, ...]] = {}
        for rule in self.rules:
            found[rule.topic] = (*found.get(rule.topic, ()), rule)
        return found

    @cached_property
    def by_name(self) -> dict[str, Rule]:
        """Name → rule."""
        return {rule.name: rule for rule in self.rules}


@dataclass(frozen=True)
class Applied:
    """A pack as it was applied."""

    pack: Pack
    effective_from: datetime
    appended_at: datetime
    """When it reached Kafka."""


@dataclass(frozen=True)
class Packs:
    """Every pack there is; the built-in one judges before the first."""

    base: Pack
    applied: tuple[Applied, ...] = ()
    """By the time from which they judge; of two of one time the later one on the topic is later here."""

    def at(self, observed_at: datetime, appended_at: datetime) -> Pack:
        """The pack that judges a record observed then, which reached Kafka then."""
        for each in reversed(self.applied):
            if each.effective_from <= observed_at and each.appended_at + LEAD <= appended_at:
                return each.pack
        return self.base

    def with_pack(self, applied: Applied) -> Packs:
        """These and one more."""
        return Packs(self.base, tuple(sorted([*self.applied, applied], key=lambda each: each.effective_from)))


@cache
def builtin() -> Packs:
    """Just the rules that come with the code."""
    return Packs(load())


def only(rules: Iterable[Rule], presence: Presence | None = None) -> Packs:
    """Packs of just these rules, for all time."""
    return Packs(Pack(Document(rules=tuple(rules), presence=presence or Presence())))


def load(path: Path = PACK) -> Pack:
    """The pack in a file.

    Raises:
        Misconfigured: names everything that is wrong, with its line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {getattr(error, 'strerror', error)}; start from processors/rules.toml") from error
    pack = parse(text, path.name)
    if not pack.rules:
        raise Misconfigured(f"{path} has no [[rules]], so nothing would be judged; start from processors/rules.toml")
    problems = [
        (line(text, ("rules", at, key)), f"{rule.name}: {key}: {what}")
        for at, rule in enumerate(pack.rules)
        for key, what in pointless(rule)
    ]
    if problems:
        raise _refused(path.name, problems)
    return pack


def parse(text: str, name: str) -> Pack:
    """The pack in a text.

    Raises:
        Misconfigured: names everything that is wrong, with its line.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{name} is not TOML: {error}") from error
    problems: list[tuple[int, str]] = []
    try:
        pack = Pack(Document.model_validate(document), name)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            where = ".".join(str(part) for part in each["loc"])
            problems.append((line(text, each["loc"]), f"{where}: {each['msg'].removeprefix('Value error, ')}"))
        raise _refused(name, problems + _meant(text, _readable(document))) from None
    problems = _meant(text, dict(enumerate(pack.rules)))
    if problems:
        raise _refused(name, problems)
    return pack


def _readable(document: dict[str, Any]) -> dict[int, Rule]:
    """The rules of a document that has others which are none, by position."""
    found: dict[int, Rule] = {}
    rules = document.get("rules")
    for at, each in enumerate(rules if isinstance(rules, list) else ()):
        with suppress(ValidationError):
            found[at] = Rule.model_validate(each)
    return found


def _meant(text: str, rules: Mapping[int, Rule]) -> list[tuple[int, str]]:
    """(line, what is wrong) of names: given twice, or of what records do not have. `rules`: by position."""
    problems = []
    names: set[str] = set()
    for at, rule in rules.items():
        if rule.name in names:
            problems.append((line(text, ("rules", at, "name")), f"{rule.name}: named twice; give one another name"))
        names.add(rule.name)
        problems += [(line(text, ("rules", at, key)), f"{rule.name}: {key}: {what}") for key, what in _unknown(rule)]
    return problems


def _refused(name: str, problems: list[tuple[int, str]]) -> Misconfigured:
    return Misconfigured("\n  ".join([f"{name}:", *(f"line {at}: {what}" for at, what in sorted(problems))]))


def _unknown(rule: Rule) -> Iterable[tuple[str, str]]:
    """(key of the rule, what is wrong) of what names a field that the records do not have."""
    schema = catalog.load()[rule.topic].schema
    found = _fields(schema)
    arrays = {name: each for name, each in found.items() if each is not None}
    if rule.readings is not None:
        if rule.readings not in arrays:
            yield "readings", f"{schema} has no array {rule.readings!r}; it has {', '.join(sorted(arrays))}"
            return
        have = arrays[rule.readings] or frozenset()
    else:
        have = frozenset(found)
    judged = [("value", rule.value), ("word", rule.word)]
    for key, limit in (("limit", rule.limit), ("clear", rule.clear)):
        judged += [(key, name) for name in (limit.fields if limit is not None else ())]
    for key, name in judged:
        if name is not None and name not in have:
            yield key, f"a reading has no field {name!r}; it has {', '.join(sorted(have))}"
    for key, template, more in (("component", rule.component, frozenset()), ("text", rule.text, EXTRA)):
        try:
            unknown = templates.fields(template) - have - more
        except ValueError as error:
            yield key, f"not a text with {{fields}}: {error}"
            continue
        if unknown:
            yield key, f"a reading has no field {', '.join(sorted(unknown))}; it has {', '.join(sorted(have | more))}"


@cache
def _fields(schema: str) -> dict[str, frozenset[str] | None]:
    """Fields of a record, and of those that are arrays of records the fields of these."""
    found: dict[str, frozenset[str] | None] = {}
    for field in catalog.schema(schema).definition["fields"]:
        items = field["type"].get("items") if isinstance(field["type"], dict) else None
        inner = items.get("fields") if isinstance(items, dict) else None
        found[field["name"]] = frozenset(part["name"] for part in inner) if inner else None
    return found


def line(text: str, location: tuple[int | str, ...]) -> int:
    """The line in a pack that an error is about: that of the key, else of its rule, else of its section."""
    lines = text.splitlines()
    begin, keys = 0, [str(part) for part in location[1:]]
    heading = rf"\[\[?\s*{re.escape(str(location[0]))}\s*\]\]?" if location else r"$^"
    headings = [at for at, each in enumerate(lines) if re.match(heading, each.strip())]
    if len(location) > 1 and isinstance(location[1], int):
        headings, keys = headings[location[1] :], keys[1:]
    if not headings:
        return 1
    begin = headings[0]
    for at in range(begin + 1, len(lines)):
        if lines[at].lstrip().startswith("["):
            break
        if keys and re.match(rf'\s*"?{re.escape(keys[0])}"?\s*[=.]', lines[at]):
            return at + 1
    return begin + 1
