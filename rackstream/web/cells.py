"""Values as HTML for people: escaped, with their units, states as word, shape and colour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Final
from urllib.parse import quote, urlencode

from rackstream.text import units

BASE: Final = "/ui"
"""Where the page is mounted."""
NOTHING: Final = '<span class="soft">–</span>'


def path(*parts: str, **query: object) -> str:
    """The address of a view of this page. What is None or empty is left out of the query."""
    asked = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return "/".join([BASE, *(quote(part, safe="") for part in parts)]) + (f"?{asked}" if asked else "")


def text(value: object, tone: str = "") -> str:
    """Any value as text; a dash where there is none."""
    if value is None or value == "":
        return NOTHING
    return f'<span class="{tone}">{escape(str(value))}</span>' if tone else escape(str(value))


def link(words: str, href: str) -> str:
    """A link to a view of this page."""
    return f'<a href="{escape(href)}">{escape(words)}</a>'


def button(words: str, act: str, *, label: str = "", danger: bool = False) -> str:
    """A button whose table is told `act`. `label`: what it says to those who only hear it."""
    heard = f' aria-label="{escape(label)}"' if label else ""
    return f'<button class="action{" danger" * danger}" data-act="{escape(act)}"{heard}>{escape(words)}</button>'


def state(word: str | None, before: str = "", title: str | None = None) -> str:
    """A state: shape and colour by its meaning. `before`: whose it is."""
    said = " ".join(each for each in (before, units.words(word)) if each)
    hint = f' title="{escape(title)}"' if title else ""
    return f'<span class="state {units.tone(word)}"{hint}>{escape(said)}</span>'


def states(words: Mapping[str, str]) -> str:
    """The states of several, each with its name."""
    return "".join(state(word, name) for name, word in sorted(words.items())) or NOTHING


def labels(given: Mapping[str, str] | None) -> str:
    """Labels of a host."""
    return "".join(
        f'<span class="label">{escape(name)}={escape(value)}</span>' for name, value in sorted((given or {}).items())
    )


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A number with its unit."""
    return NOTHING if value is None else escape(units.number(value, f" {unit}" if unit else "", digits))


def size(value: float | None, unit: str = "B/s") -> str:
    """Bytes in the unit that keeps three digits."""
    return NOTHING if value is None else escape(units.size(value, unit))


def celsius(value: float | None, limit: float | None = None, name: str | None = None) -> str:
    """A temperature, of which sensor, and its limit."""
    if value is None:
        return NOTHING
    said = text(f"{value:.1f} °C", units.near(value, limit))
    whose = f" {escape(name)}" if name else ""
    return said + whose + (f' <span class="limit">of {limit:.0f}</span>' if limit else "")


def bar(share: float | None, tone: str = "") -> str:
    """A share of one as a small bar."""
    if share is None:
        return ""
    width = f"{min(max(share, 0), 1):.0%}"
    return f'<span class="bar {tone or "soft"}" aria-hidden="true"><i style="width:{width}"></i></span>'


def since(at: datetime, now: datetime) -> str:
    """A moment, UTC: the time alone while it is of this day."""
    short = f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%m-%d %H:%M}"
    return f'<span title="{at:%Y-%m-%d %H:%M:%S} UTC">{short}</span>'


def moment(at: datetime | None) -> str:
    """A moment with its day, UTC."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, coarse."""
    """How long ago, coarse."""
    return NOTHING if at is None else units.age(at, now)


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names with values in one line; those without a value are left out."""
    return "".join(f"<span>{escape(name)} <b>{escape(str(value))}</b></span>" for name, value in pairs if value)
