"""Meaning of the audit's counters, for its help and below its result. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEGEND: Final[Mapping[str, str]] = {
    "lost": "records, facts or rows missing without explanation",
    "twice": "surplus copies of stored rows",
    "late": "raw records that follow a later one of their host",
    "wrong": "derived records or rows with an unexpected value",
    "invented": "derived records or rows that nothing accounts for",
    "gaps": "raw records that their producer reported as dropped",
    "republished": "surplus copies of records on a topic; readers drop them",
    "pending": "not processed or stored yet",
}


def legend_lines(counters: Mapping[str, int]) -> list[str]:
    """Returns a line for each counter that is not 0."""
    return [f"  {name:12} {LEGEND[name]}" for name, count in counters.items() if count]
