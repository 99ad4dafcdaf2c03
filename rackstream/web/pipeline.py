"""Pipeline view: producers, topics, consumer-group lag, dead letters; pauses and resumes polling of whole sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from nicegui import ui

from rackstream.text import units
from rackstream.view.answers import ConsumerGroupRow, DeadLetterRow, ProducerRow, TopicRow
from rackstream.web import cells, dialogs
from rackstream.web.grid import Grid, GridColumn
from rackstream.web.layout import PageFrame, main, panel, tile

PRODUCERS: Final = (
    GridColumn("Producer"),
    GridColumn("Source"),
    GridColumn("State"),
    GridColumn("Last heartbeat"),
    GridColumn("Targets", "number"),
    GridColumn("Failing", "number"),
    GridColumn("Polls", "number"),
    GridColumn("Records", "number"),
    GridColumn("Queued", "number"),
    GridColumn("Spooled", "number"),
    GridColumn("Dropped", "number"),
)
POLLING: Final = (GridColumn("Source"), GridColumn("Targets", "wide"), GridColumn("", "number"))
TOPICS: Final = (
    GridColumn("Topic"),
    GridColumn("Partitions", "number"),
    GridColumn("Records", "number"),
    GridColumn("Records/s", "number"),
)
CONSUMER_GROUPS: Final = (
    GridColumn("Group"),
    GridColumn("Topic"),
    GridColumn("State"),
    GridColumn("Lag", "number"),
)
DEAD_LETTERS: Final = (GridColumn("Stage"), GridColumn("Reason", "wide"), GridColumn("Records", "number"))


def _producer_row(producer: ProducerRow, now: datetime) -> list[str]:
    return [
        cells.mono(producer.name),
        cells.text(producer.source),
        cells.state(producer.status),
        cells.age(producer.observed_at, now),
        cells.number(producer.targets),
        cells.text(f"{producer.failing:,}", "bad" if producer.failing else ""),
        cells.number(producer.polls),
        cells.number(producer.records),
        cells.text(f"{producer.queued:,}", "warn" if producer.queued > units.QUEUE_WARNING_RECORDS else ""),
        _spool(producer, now),
        cells.text(f"{producer.dropped:,}", "bad" if producer.dropped else ""),
    ]


def _spool(producer: ProducerRow, now: datetime) -> str:
    if not producer.spooled:
        return cells.number(producer.spooled)
    oldest_at = producer.spool_oldest_at
    oldest = f", {units.format_duration((now - oldest_at).total_seconds())}" if oldest_at else ""
    return cells.text(f"{producer.spooled:,}", "warn") + f" ({cells.size(producer.spooled_bytes, 'B')}{oldest})"


def _topic_row(topic: TopicRow) -> list[str]:
    return [
        cells.mono(topic.name),
        cells.number(topic.partitions),
        cells.number(topic.records),
        cells.number(topic.records_s, "", 1),
    ]


def _consumer_group_row(group: ConsumerGroupRow) -> list[str]:
    return [
        cells.mono(group.group),
        cells.mono(group.topic),
        cells.text(group.state.lower()),
        cells.text(f"{group.lag:,}", "warn" if group.lag > units.LAG_WARNING_RECORDS else ""),
    ]


def _dead_letter_row(row: DeadLetterRow) -> list[str]:
    return [cells.text(row.stage), cells.text(row.reason), cells.number(row.count)]


async def build(frame: PageFrame) -> None:
    """Builds the view."""

    async def on_action(action: str) -> None:
        verb, _, source = action.partition(":")
        if verb == "pause":
            await dialogs.pause_polling(frame, source or None, None)
        elif verb == "resume":
            await dialogs.resume_polling(frame, source or None, None)

    with main():
        with ui.element("div").classes("title"):
            ui.html("Pipeline", tag="h1")
        notice = ui.html("").classes("notice").props('role="status"')
        with ui.element("div").classes("tiles"):
            rate, lag, letters = tile("Records"), tile("Consumer lag"), tile("Dead letters")
            queued, spooled, silent = tile("Queued at producers"), tile("Spooled on disk"), tile("Silent producers")
        with panel("Producers"):
            producer_grid = Grid(
                "Producers",
                PRODUCERS,
                empty="No producers yet. <code>rackstream up</code> runs one for each source.",
            )
        with panel("Polling"):
            polling_grid = Grid("Pause and resume", POLLING, empty="No sources yet.", on_action=on_action)
        with ui.element("div").classes("panels"):
            with panel("Topics"):
                topic_grid = Grid("Topics", TOPICS, empty="No topics yet.")
            with panel("Consumer groups"):
                group_grid = Grid("Consumer groups", CONSUMER_GROUPS, empty="No consumer groups on these topics.")
            with panel("Dead letters"):
                dead_letter_grid = Grid(
                    "Dead letters",
                    DEAD_LETTERS,
                    empty="No dead letters. Inspect them with <code>rackstream dead-letters</code>.",
                )

    async def refresh() -> None:
        status = await frame.query(frame.view.pipeline)
        overview = await frame.query(frame.view.overview)
        now = datetime.now(UTC)
        notice.content = cells.text(f"Missing topics: {', '.join(status.missing)}") if status.missing else ""
        notice.set_visibility(bool(status.missing))
        rate.content = (
            cells.NOTHING if overview.records_s is None else f"{overview.records_s:,.0f} <small>per s</small>"
        )
        lag.content = f"{sum(group.lag for group in status.groups):,}"
        letter_count = sum(row.count for row in status.letters)
        letters.content = cells.text(f"{letter_count:,}", "warn" if letter_count else "")
        queued.content = f"{sum(producer.queued for producer in status.producers):,}"
        spooled_count = sum(producer.spooled for producer in status.producers)
        spooled.content = cells.text(f"{spooled_count:,}", "warn" if spooled_count else "")
        silent.content = cells.text(f"{len(overview.silent):,}", "bad" if overview.silent else "")
        producer_grid.show([_producer_row(producer, now) for producer in status.producers])
        topic_grid.show([_topic_row(topic) for topic in status.topics])
        group_grid.show([_consumer_group_row(group) for group in status.groups])
        dead_letter_grid.show([_dead_letter_row(row) for row in status.letters])
        polling_grid.show(_polling_rows(status.producers, overview.statuses))

    await frame.refresh_every(2.0, refresh)


def _polling_rows(producers: Sequence[ProducerRow], statuses: Mapping[str, int]) -> list[list[str]]:
    """Rows of the sources, and a last one for all of them."""
    rows = []
    for source in sorted({producer.source for producer in producers}):
        targets = sum(producer.targets for producer in producers if producer.source == source)
        rows.append([cells.text(source), f"{targets:,} target{'s' * (targets != 1)}", _buttons(source)])
    if rows:
        counts = "".join(cells.state(status, f"{count:,}") for status, count in sorted(statuses.items()) if count)
        rows.append(["all sources", counts, _buttons("")])
    return rows


def _buttons(source: str) -> str:
    targets = dialogs.targets_text(source or None, None)
    resume = cells.button("Resume", f"resume:{source}", description=f"Resume polling of {targets}")
    pause = cells.button("Pause", f"pause:{source}", description=f"Pause polling of {targets}", danger=True)
    return f"{resume} {pause}"
