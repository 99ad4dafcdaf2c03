"""The pipeline itself: producers, topics, how far groups are behind, dead letters; start and stop of whole sources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from nicegui import ui

from rackstream.text import units
from rackstream.web import cells, dialogs
from rackstream.web.grid import Column, Grid
from rackstream.web.layout import Frame, main, panel, tile

PRODUCERS: Final = (
    Column("Producer"),
    Column("Source"),
    Column("State"),
    Column("Heard"),
    Column("Targets", "number"),
    Column("Not read", "number"),
    Column("Polls", "number"),
    Column("Records", "number"),
    Column("Queued", "number"),
    Column("Spooled", "number"),
    Column("Dropped", "number"),
)
TOPICS: Final = (
    Column("Topic"),
    Column("Partitions", "number"),
    Column("Records", "number"),
    Column("Per s", "number"),
)
GROUPS: Final = (Column("Group"), Column("Topic"), Column("State"), Column("Behind", "number"))
LETTERS: Final = (Column("Stage"), Column("Reason", "wide"), Column("Records", "number"))


def _producer(each: Any, now: datetime) -> list[str]:
    return [
        f'<span class="mono">{cells.text(each.name)}</span>',
        cells.text(each.source),
        cells.state(each.status),
        cells.age(each.observed_at, now),
        cells.number(each.targets),
        cells.text(f"{each.failing:,}", "bad" if each.failing else ""),
        cells.number(each.polls),
        cells.number(each.records),
        cells.text(f"{each.queued:,}", "warn" if each.queued > units.MANY_QUEUED else ""),
        _spool(each, now),
        cells.text(f"{each.dropped:,}", "bad" if each.dropped else ""),
    ]


def _spool(each: Any, now: datetime) -> str:
    if not each.spooled:
        return cells.number(each.spooled)
    oldest = f", {units.span((now - each.spool_oldest_at).total_seconds())}" if each.spool_oldest_at else ""
    return cells.text(f"{each.spooled:,}", "warn") + f" ({cells.size(each.spooled_bytes, 'B')}{oldest})"


def _topic(each: Any) -> list[str]:
    name = f'<span class="mono">{cells.text(each.name)}</span>'
    return [name, cells.number(each.partitions), cells.number(each.records), cells.number(each.records_s, "", 1)]


def _group(each: Any) -> list[str]:
    names = (
        f'<span class="mono">{cells.text(each.group)}</span>',
        f'<span class="mono">{cells.text(each.topic)}</span>',
    )
    return [
        *names,
        cells.text(each.state.lower()),
        cells.text(f"{each.lag:,}", "warn" if each.lag > units.MANY_BEHIND else ""),
    ]


async def build(frame: Frame) -> None:
    """Builds the view."""

    async def act(what: str) -> None:
        verb, _, source = what.partition(":")
        if verb in ("start", "stop"):
            await dialogs.start_or_stop(frame, verb, source or None, None)

    with main():
        with ui.element("div").classes("title"):
            ui.html("Pipeline", tag="h1")
        notice = ui.html("").classes("notice").props('role="status"')
        with ui.element("div").classes("tiles"):
            rate, behind, letters = tile("Records"), tile("Records behind, all groups"), tile("Dead letters")
            queued, spooled, silent = (
                tile("Queued at producers"),
                tile("Spooled on their disks"),
                tile("Producers silent"),
            )
        with panel("Producers"):
            producers = Grid(
                "Producers",
                PRODUCERS,
                empty="No producer has been heard. <code>rackstream up</code> runs one for each source.",
            )
        with panel("Polling"):
            polling = Grid(
                "Start and stop",
                (Column("Source"), Column("Targets", "wide"), Column("", "number")),
                empty="No source yet.",
                on_act=act,
            )
        with ui.element("div").classes("panels"):
            with panel("Topics"):
                topics = Grid("Topics", TOPICS, empty="No topic has been asked yet.")
            with panel("Consumer groups"):
                groups = Grid("Consumer groups", GROUPS, empty="No group reads a topic of ours.")
            with panel("Dead letters"):
                dead = Grid(
                    "Dead letters",
                    LETTERS,
                    empty="Nothing was refused. What is, <code>rackstream dead-letters</code> lists.",
                )

    async def refresh() -> None:
        found = await frame.console.ask("pipeline")
        overview = await frame.console.ask("overview")
        now = datetime.now(UTC)
        wrong = found.kafka or (f"Topics that are not there: {', '.join(found.missing)}" if found.missing else "")
        notice.content = cells.text(wrong) if wrong else ""
        notice.set_visibility(bool(wrong))
        rate.content = (
            cells.NOTHING if overview.records_s is None else f"{overview.records_s:,.0f} <small>per s</small>"
        )
        behind.content = f"{sum(group.lag for group in found.groups):,}"
        refused = sum(letter.count for letter in found.letters)
        letters.content = cells.text(f"{refused:,}", "warn" if refused else "")
        queued.content = f"{sum(producer.queued for producer in found.producers):,}"
        waiting = sum(producer.spooled for producer in found.producers)
        spooled.content = cells.text(f"{waiting:,}", "warn" if waiting else "")
        silent.content = cells.text(f"{len(overview.silent):,}", "bad" if overview.silent else "")
        producers.show([_producer(producer, now) for producer in found.producers])
        topics.show([_topic(topic) for topic in found.topics])
        groups.show([_group(group) for group in found.groups])
        dead.show(
            [
                [cells.text(letter.stage), cells.text(letter.reason), cells.number(letter.count)]
                for letter in found.letters
            ]
        )
        polling.show(_polling(found.producers, overview.statuses))

    await frame.every(2.0, refresh)


def _polling(producers: list[Any], statuses: dict[str, int]) -> list[list[str]]:
    """A row for each source, and one for all of them."""
    sources = sorted({producer.source for producer in producers})
    rows = [(each, sum(one.targets for one in producers if one.source == each)) for each in sources]
    everything = "".join(f"{cells.state(status, f'{count:,}')}" for status, count in sorted(statuses.items()) if count)
    return [
        *(
            [cells.text(source), f"{targets:,} target{'s' * (targets != 1)}", _buttons(source)]
            for source, targets in rows
        ),
        *([["all sources", everything, _buttons("")]] if rows else []),
    ]


def _buttons(source: str) -> str:
    whose = f"all {source} polls" if source else "all polls"
    start = cells.button("Start", f"start:{source}", label=f"Start {whose}")
    return f"{start} {cells.button('Stop', f'stop:{source}', label=f'Stop {whose}', danger=True)}"
