"""Finds rules of a pack that can never match, or not as intended, such as an unknown category. Pure.

Packs are linted when they are tested or applied, not when they are read back: an applied pack stays in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from processors.alerting.rule import RULE_INPUTS, Limit, Rule
from schemas import catalog
from schemas.sources import SOURCE_BY_TOPIC, SOURCES

NUMERIC_TYPES: Final = frozenset({"int", "long", "float", "double"})


class RuleProblem(NamedTuple):
    """An error in a rule."""

    key: str
    """Key of the rule."""
    text: str


def find_problems(rule: Rule) -> Iterable[RuleProblem]:
    """Finds keys of a valid rule that make it useless."""
    categories = SOURCES[SOURCE_BY_TOPIC[RULE_INPUTS[rule.topic].raw_topic]].categories
    if rule.category is not None and rule.category not in categories:
        yield RuleProblem(
            "category", f"no record has the category {rule.category!r}; there are {', '.join(categories)}"
        )
    if rule.plausible is not None and rule.plausible[0] > rule.plausible[1]:
        yield RuleProblem("plausible", "an empty range; give [lowest, highest]")
    if rule.limit is None or rule.clear is None:
        return
    numeric_fields = _numeric_fields(catalog.load()[rule.topic].schema, rule.readings)
    compared = [("value", rule.value)]
    compared += [("limit", name) for name in rule.limit.field_names]
    compared += [("clear", name) for name in rule.clear.field_names]
    for key, name in compared:
        if name not in numeric_fields:
            yield RuleProblem(key, f"{name!r} is not a number; there are {', '.join(sorted(numeric_fields))}")
    limit, clear = _comparable_level(rule.limit, rule.clear), _comparable_level(rule.clear, rule.limit)
    if limit is not None and clear is not None and (clear > limit if rule.worse == "above" else clear < limit):
        yield RuleProblem(
            "clear", f"it is beyond the limit; give a value {'below' if rule.worse == 'above' else 'above'} it"
        )


def _comparable_level(limit: Limit, other: Limit) -> float | None:
    """Returns a number by which two limits can be compared without a reading, or None."""
    if limit.field is None:
        return limit.fixed if other.field is None else None
    is_unbounded = limit.at_least is None and other.at_least is None
    return limit.ratio if limit.field_names == other.field_names and is_unbounded else None


@cache
def _numeric_fields(schema: str, readings: str | None) -> frozenset[str]:
    """Returns the numeric fields of a record, or of the items of one of its arrays."""
    fields: list[Mapping[str, Any]] = catalog.schema(schema).definition["fields"]
    if readings is not None:
        fields = next(field for field in fields if field["name"] == readings)["type"]["items"]["fields"]
    return frozenset(field["name"] for field in fields if _is_numeric(field["type"]))


def _is_numeric(avro_type: object) -> bool:
    """True for a number and for a union with one."""
    types = avro_type if isinstance(avro_type, list) else [avro_type]
    return any(isinstance(kind, str) and kind in NUMERIC_TYPES for kind in types)
