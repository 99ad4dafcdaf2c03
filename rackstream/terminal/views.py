"""Views of `rackstream top`: their queries, sort order, filters and scroll positions. Independent of the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, cast

from rich.text import Text

from rackstream.terminal import detail_tables, list_tables
from rackstream.terminal.layout import Link, TableRow, TextTable, render_table, render_tables, styled
from rackstream.terminal.scroll_window import LineWindow, ScrollPosition
from rackstream.view.lists import HostOrder, VmOrder
from rackstream.view.model import View

ViewName = Literal["fleet", "vms", "alerts", "pipeline", "host", "vm"]
MAX_ACTIVE_ALERTS: Final = 200
"""Active alerts listed; beyond that, the user has to search."""
MAX_TRANSITIONS: Final = 50
HEALTH_FILTERS: Final = (None, "critical", "warning", "unknown", "ok")


@dataclass
class OpenView:
    """A view with its search, filter, sort order and scroll position."""

    name: ViewName
    subject: Link = ()
    """Host name, or host name and UUID of a VM; empty for lists."""
    scroll: ScrollPosition = field(default_factory=ScrollPosition)
    search: str = ""
    health: str | None = None
    sort: str = "name"
    descending: bool = False

    @property
    def title(self) -> str:
        """Title of the view: its subject, or its name."""
        return " ".join(self.subject) or {"fleet": "Fleet", "vms": "VMs"}.get(self.name, self.name.capitalize())

    @property
    def is_list(self) -> bool:
        """True if the view is sorted and paged by the query."""
        return self.name in ("fleet", "vms")

    @property
    def is_searchable(self) -> bool:
        """True if the view can be searched."""
        return self.is_list or self.name == "alerts"

    def next_sort(self) -> None:
        """Sorts by the next column: numbers descending, names ascending, health and status worst first."""
        columns = list_tables.HOSTS if self.name == "fleet" else list_tables.VMS
        orders = [column.sort for column in columns if column.sort]
        self.sort = orders[(orders.index(self.sort) + 1) % len(orders)]
        self.descending = self.sort not in ("name", "host", "state", "health", "status")
        self.scroll = ScrollPosition()

    def reverse(self) -> None:
        """Reverses the sort order."""
        self.descending = not self.descending
        self.scroll = ScrollPosition()

    def next_health(self) -> None:
        """Filters by the next health, and after the last one by none."""
        self.health = HEALTH_FILTERS[(HEALTH_FILTERS.index(self.health) + 1) % len(HEALTH_FILTERS)]
        self.scroll = ScrollPosition()

    def set_search(self, search: str) -> None:
        """Filters by words."""
        self.search = search
        self.scroll = ScrollPosition()

    def load(self, view: View, first: int, lines: int, width: int) -> LineWindow:
        """Renders the lines from `first` on, as many as are visible."""
        at = datetime.now(UTC)
        if self.is_list:
            return self._load_page(view, first, lines, width, at)
        rendered = render_tables(self._tables(view, at), width)
        return LineWindow(len(rendered), rendered)

    def _load_page(self, view: View, first: int, lines: int, width: int, at: datetime) -> LineWindow:
        if self.name == "fleet":
            hosts = view.hosts(
                self.search,
                health=self.health,
                sort=cast("HostOrder", self.sort),
                descending=self.descending,
                offset=first,
                limit=lines,
            )
            total, table = hosts.total, list_tables.hosts(hosts, at)
        else:
            vms = view.vms(
                self.search,
                sort=cast("VmOrder", self.sort),
                descending=self.descending,
                offset=first,
                limit=lines,
            )
            total, table = vms.total, list_tables.vms(vms.rows)
        header, rows = render_table(table.with_sort_mark(self.sort, descending=self.descending), width)
        return LineWindow(total, rows, first, header)

    def _tables(self, view: View, at: datetime) -> list[TextTable]:
        if self.name == "alerts":
            active = view.alerts(self.search, limit=MAX_ACTIVE_ALERTS)
            past = view.alerts(self.search, state="history", limit=MAX_TRANSITIONS)
            return detail_tables.alerts(active, past, view.silences(), at)
        if self.name == "pipeline":
            return detail_tables.pipeline(view.pipeline(at))
        if self.name == "host":
            host = view.host(self.subject[0])
            return detail_tables.host(host, at) if host is not None else _notice(f"Unknown host: {self.subject[0]}")
        vm = view.vm(*self.subject)
        if vm is None:
            return _notice(f"This VM is not running on {self.subject[0]}.")
        return detail_tables.vm(vm)

    def status_line(self, visible_range: tuple[int, int, int]) -> Text:
        """Describes the visible range, the filter and the search."""
        first, last, total = visible_range
        parts = [f"{first:,}–{last:,} of {total:,}"] if self.is_list else [self.title]
        parts += [f"health {self.health}"] if self.health else []
        parts += [f"matching “{self.search}”"] if self.search else []
        return styled(", ".join(parts), "soft")


def _notice(text: str) -> list[TextTable]:
    return [TextTable("", rows=[TableRow((styled(text, "warn"),))])]


def open_link(link: Link, view: View) -> OpenView | None:
    """The view that a link leads to; an alert leads to its host."""
    kind, *subject = link
    if kind == "alert":
        history = view.alert(subject[0])
        return OpenView("host", (history.alert.host,)) if history is not None else None
    return OpenView("host", (subject[0],)) if kind == "host" else OpenView("vm", (subject[0], subject[1]))


def suggested_matchers(link: Link | None, current: OpenView, view: View) -> dict[str, str]:
    """Initial matchers of a silence, from the selected line and the current view."""
    if link is not None and link[0] == "alert" and (history := view.alert(link[1])) is not None:
        return {"host": history.alert.host, "rule": history.alert.rule}
    if current.name in ("host", "vm"):
        return {"host": current.subject[0]}
    return {"host": link[1]} if link is not None and link[0] in ("host", "vm") else {}
