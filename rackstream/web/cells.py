"""Formats values as HTML: escaped, with units; states by word, shape and colour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Final
from urllib.parse import quote, urlencode

from rackstream.text import units

BASE: Final = "/ui"
"""Path under which the page is mounted."""
NOTHING: Final = '<span class="soft">–</span>'


def path(*parts: str, **query: object) -> str:
    """Address of a view of this page. Query values that are None or empty are left out."""
    parameters = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return "/".join([BASE, *(quote(part, safe="") for part in parts)]) + (f"?{parameters}" if parameters else "")


def text(value: object, tone: str = "") -> str:
    """Any value as text; a dash for None and the empty string."""
    if value is None or value == "":
        return NOTHING
    return f'<span class="{tone}">{escape(str(value))}</span>' if tone else escape(str(value))


def mono(value: object) -> str:
    """Any value in a fixed-width font, such as an address or a topic name."""
    return f'<span class="mono">{text(value)}</span>'


def link(label: str, href: str) -> str:
    """A link to a view of this page."""
    return f'<a href="{escape(href)}">{escape(label)}</a>'


def button(label: str, action: str, *, description: str = "", danger: bool = False) -> str:
    """A button that sends `action` to its grid. `description`: its accessible name."""
    aria = f' aria-label="{escape(description)}"' if description else ""
    return f'<button class="action{" danger" * danger}" data-act="{escape(action)}"{aria}>{escape(label)}</button>'


def state(word: str | None, prefix: str = "", title: str | None = None) -> str:
    """A state in the shape and colour of its meaning. `prefix`: name of what is in that state."""
    label = " ".join(part for part in (prefix, units.humanize(word)) if part)
    tooltip = f' title="{escape(title)}"' if title else ""
    return f'<span class="state {units.tone(word)}"{tooltip}>{escape(label)}</span>'


def states(states_by_name: Mapping[str, str]) -> str:
    """Several states, each with its name."""
    return "".join(state(word, name) for name, word in sorted(states_by_name.items())) or NOTHING


def labels(labels_by_name: Mapping[str, str] | None) -> str:
    """Labels of a host."""
    return "".join(
        f'<span class="label">{escape(name)}={escape(value)}</span>'
        for name, value in sorted((labels_by_name or {}).items())
    )


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A number with its unit."""
    return NOTHING if value is None else escape(units.format_number(value, f" {unit}" if unit else "", digits))


def size(value: float | None, unit: str = "B/s") -> str:
    """Bytes, with the unit prefix that keeps three digits."""
    return NOTHING if value is None else escape(units.format_bytes(value, unit))


def celsius(value: float | None, limit: float | None = None, sensor: str | None = None) -> str:
    """A temperature with its sensor and limit."""
    if value is None:
        return NOTHING
    reading = text(f"{value:.1f} °C", units.limit_tone(value, limit))
    name = f" {escape(sensor)}" if sensor else ""
    return reading + name + (f' <span class="limit">of {limit:.0f}</span>' if limit else "")


def bar(share: float | None, tone: str = "") -> str:
    """A share between 0 and 1 as a small bar."""
    if share is None:
        return ""
    width = f"{min(max(share, 0), 1):.0%}"
    return f'<span class="bar {tone or "soft"}" aria-hidden="true"><i style="width:{width}"></i></span>'


def short_time(at: datetime, now: datetime) -> str:
    """A UTC time; without its date if it is today."""
    short = f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%m-%d %H:%M}"
    return f'<span title="{at:%Y-%m-%d %H:%M:%S} UTC">{short}</span>'


def timestamp(at: datetime | None) -> str:
    """A UTC time with its date."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def age(at: datetime | None, now: datetime) -> str:
    """Time elapsed, rounded."""
    return NOTHING if at is None else units.format_age(at, now)


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names with values in one line; pairs without a value are left out."""
    return "".join(f"<span>{escape(name)} <b>{escape(str(value))}</b></span>" for name, value in pairs if value)
