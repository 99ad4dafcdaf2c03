"""What in a pack of rules cannot be meant, such as a category that no record has. Pure.

It is looked for when a pack is tried or applied, not when it is read back: a pack once applied goes on judging.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from processors.alerting.rule import FEEDS, Limit, Rule
from schemas import catalog

CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "raw-redfish": ("system", "thermal", "power", "processor", "memory", "network", "storage"),
    "raw-libvirt": ("domains",),
    "raw-host": ("host",),
}
"""Raw topic → the categories of its records that hold readings."""
NUMBERS: Final = frozenset({"int", "long", "float", "double"})


def pointless(rule: Rule) -> Iterable[tuple[str, str]]:
    """(key of the rule, what is wrong) of what would never judge, or not as it reads."""
    known = CATEGORIES[FEEDS[rule.topic][0]]
    if rule.category is not None and rule.category not in known:
        yield "category", f"no record has the category {rule.category!r}; there are {', '.join(known)}"
    if rule.plausible is not None and rule.plausible[0] > rule.plausible[1]:
        yield "plausible", "nothing is in it; give [lowest, highest]"
    if rule.limit is None or rule.clear is None:
        return
    numbers = _numbers(catalog.load()[rule.topic].schema, rule.readings)
    judged = [("value", rule.value), *(("limit", name) for name in rule.limit.fields)]
    for key, name in [*judged, *(("clear", name) for name in rule.clear.fields)]:
        if name not in numbers:
            yield key, f"{name!r} is no number; there are {', '.join(sorted(numbers))}"
    limit, clear = _level(rule.limit, rule.clear), _level(rule.clear, rule.limit)
    if limit is not None and clear is not None and (clear > limit if rule.worse == "above" else clear < limit):
        yield "clear", f"it lies beyond the limit; give one {'below' if rule.worse == 'above' else 'above'} it"


def _level(one: Limit, other: Limit) -> float | None:
    """What makes two limits comparable without a reading, or None."""
    if one.field is None:
        return one.fixed if other.field is None else None
    plain = one.at_least is None and other.at_least is None
    return one.ratio if one.fields == other.fields and plain else None


@cache
def _numbers(schema: str, readings: str | None) -> frozenset[str]:
    """Fields of a record, or of the readings in one of its arrays, that are numbers."""
    fields: list[dict[str, Any]] = catalog.schema(schema).definition["fields"]
    if readings is not None:
        fields = next(field for field in fields if field["name"] == readings)["type"]["items"]["fields"]
    return frozenset(
        field["name"]
        for field in fields
        if NUMBERS.intersection(kind for kind in _kinds(field["type"]) if isinstance(kind, str))
    )


def _kinds(avro: Any) -> list[Any]:
    return avro if isinstance(avro, list) else [avro]
