"""The views of `rackstream top`: what each asks, by which keys it is steered. Knows no terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from rich.text import Text

from rackstream.terminal import detail_tables, list_tables
from rackstream.terminal.layout import Place, Row, Table, fit, said, whole
from rackstream.terminal.scroll_window import Where, Window
from rackstream.view.model import View

Name = Literal["fleet", "vms", "alerts", "pipeline", "host", "vm"]
ACTIVE: Final = 200
"""Active alerts that are listed: of more than these, one searches."""
PAST: Final = 50
"""Transitions that are listed."""
FILTERS: Final = (None, "critical", "warning", "unknown", "ok")


@dataclass
class Look:
    """One view, as it is being looked at."""

    name: Name
    of: Place = ()
    """The host, or host and VM."""
    where: Where = field(default_factory=Where)
    search: str = ""
    health: str | None = None
    sort: str = "name"
    descending: bool = False

    @property
    def title(self) -> str:
        """What the view is of."""
        return " ".join(self.of) or {"fleet": "Fleet", "vms": "VMs"}.get(self.name, self.name.capitalize())

    @property
    def is_list(self) -> bool:
        """Sorted and paged where it is asked."""
        return self.name in ("fleet", "vms")

    @property
    def is_searched(self) -> bool:
        """Whether it can be searched."""
        return self.is_list or self.name == "alerts"

    def next_sort(self) -> None:
        """Sorts by the next column: numbers the highest first, words in their order, health and status the worst."""
        columns = [each.sort for each in (list_tables.HOSTS if self.name == "fleet" else list_tables.VMS) if each.sort]
        self.sort = columns[(columns.index(self.sort) + 1) % len(columns)]
        self.descending = self.sort not in ("name", "host", "state", "health", "status")
        self.where = Where()

    def reverse(self) -> None:
        """The other way round."""
        self.descending = not self.descending
        self.where = Where()

    def next_health(self) -> None:
        """Only hosts of the next health, and after the last of all."""
        self.health = FILTERS[(FILTERS.index(self.health) + 1) % len(FILTERS)]
        self.where = Where()

    def find(self, search: str) -> None:
        """Only what has these words."""
        self.search = search
        self.where = Where()

    def window(self, view: View, first: int, lines: int, width: int) -> Window:
        """Those lines of it that are seen."""
        at = datetime.now(UTC)
        if self.is_list:
            return self._page(view, first, lines, width, at)
        found = whole(self._tables(view, at), width)
        return Window(len(found), found)

    def _page(self, view: View, first: int, lines: int, width: int, at: datetime) -> Window:
        asked: dict[str, Any] = {"sort": self.sort, "descending": self.descending, "offset": first, "limit": lines}
        if self.name == "fleet":
            hosts = view.hosts(self.search, health=self.health, **asked)
            total, table = hosts.total, list_tables.hosts(hosts, at)
        else:
            vms = view.vms(self.search, **asked)
            total, table = vms.total, list_tables.vms(vms.rows)
        top, rows = fit(table.sorted(self.sort, descending=self.descending), width)
        return Window(total, rows, first, top)

    def _tables(self, view: View, at: datetime) -> list[Table]:
        if self.name == "alerts":
            active = view.alerts(self.search, limit=ACTIVE)
            past = view.alerts(self.search, state="history", limit=PAST)
            return detail_tables.alerts(active, past, view.silences(), at)
        if self.name == "pipeline":
            return detail_tables.pipeline(view.pipeline(at))
        if self.name == "host":
            host = view.host(self.of[0])
            return detail_tables.host(host, at) if host is not None else _gone(f"Nothing is known of {self.of[0]} now.")
        vm = view.vm(*self.of)
        return detail_tables.vm(vm) if vm is not None else _gone(f"This VM does not run on {self.of[0]} now.")

    def asked(self, seen: tuple[int, int, int]) -> Text:
        """What is seen of how much, and what was asked for."""
        first, last, total = seen
        parts = [f"{first:,}–{last:,} of {total:,}"] if self.is_list else [self.title]
        parts += [f"health {self.health}"] if self.health else []
        parts += [f"matching “{self.search}”"] if self.search else []
        return said(", ".join(parts), "soft")


def _gone(words: str) -> list[Table]:
    return [Table("", rows=[Row((said(words, "warn"),))])]


def opened(leads: Place, view: View) -> Look | None:
    """The view that a line leads to; of an alert, its host."""
    kind, *of = leads
    if kind == "alert":
        story = view.alert(of[0])
        return Look("host", (story.alert.host,)) if story is not None else None
    return Look("host", (of[0],)) if kind == "host" else Look("vm", (of[0], of[1]))


def matchers(leads: Place | None, look: Look, view: View) -> dict[str, str]:
    """What a silence would match that is asked for here."""
    if leads is not None and leads[0] == "alert" and (story := view.alert(leads[1])) is not None:
        return {"host": story.alert.host, "rule": story.alert.rule}
    if look.name in ("host", "vm"):
        return {"host": look.of[0]}
    return {"host": leads[1]} if leads is not None and leads[0] in ("host", "vm") else {}
