"""The live view in a terminal: what is on the screen, key by key, of records that came; names that do nothing to it."""

import asyncio
import io
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given as holds
from hypothesis import settings as examples
from hypothesis import strategies as some
from rich.cells import cell_len
from rich.console import Console

from rackstream.demo import screen
from rackstream.terminal import header, list_tables
from rackstream.terminal.app import TopApp
from rackstream.terminal.layout import TableColumn, TableRow, TextTable, render_tables, styled
from rackstream.terminal.listing import Listing
from rackstream.text import units
from rackstream.view.model import View
from rackstream.view.traffic import OffsetSnapshot
from schemas.testing import START_TIME, make_record
from tests.unit.rackstream.view.test_model import alert, domains, presence, seeing, target, thermal

HOSTILE = ("[/x]", "[red]loud[/red]", "\x1b[31mred\x07", "a\nb", "$(reboot)", "寿司" * 9)


def small():
    """Three hosts, one of them with VMs, one with an alert."""
    view = seeing(
        target("h1", labels={"rack": "r1"}), target("h2", status="unreachable"), target("h3", source="libvirt"),
        thermal("h1", (50.0, 100.0)), thermal("h2", (96.0, 100.0)),
        ("power", make_record("Power", host="h1", consumed_watts=300.0)),
        ("power", make_record("Power", host="h2", consumed_watts=100.0)),
        ("state-health", make_record("Health", host="h1", overall="ok")),
        ("state-health", make_record("Health", host="h2", overall="critical")),
        domains("h3", "a", "b"),
        alert("x", host="h2", severity="critical", rule="temperature-high", text="too warm"),
    )  # fmt: skip
    view.set_ready()
    return view


def settings():
    raise AssertionError("this test must not need Kafka")


@asynccontextmanager
async def shown(view, size=(80, 24), host=None):
    """The view as a user has it."""
    app = TopApp(view, settings, lambda: "me", host)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


def lines(app):
    """What is on the screen."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def text(app):
    return "\n".join(lines(app))


async def press(pilot, *keys):
    await pilot.press(*keys)
    await pilot.pause()


def test_the_fleet_is_seen_in_80_columns():
    async def look():
        async with shown(small()) as (app, _):
            seen = text(app)
            [first] = [line for line in lines(app) if line.startswith("h1")]
            assert re.search(r"h1 +ok +redfish up +300 W +50.0 °C of 100", first)
            assert "3 hosts (1 ok, 1 critical, 1 unknown)" in seen
            assert "2 of 3 targets up" in seen
            assert "1 alert (1 critical)" in seen
            assert {80} == {cell_len(line) for line in lines(app)}
            assert "q Quit" in lines(app)[-1]

    asyncio.run(look())


def test_hosts_are_searched_filtered_and_sorted_by_key():
    def hosts(app):
        return [match[1] for line in lines(app) if (match := re.match(r"(h\d) ", line))]

    async def look():
        async with shown(small()) as (app, pilot):
            await press(pilot, *"/rack")
            assert ["h1"] == hosts(app)
            await press(pilot, "enter", "down")
            assert ["h1"] == hosts(app)
            await press(pilot, "escape", "h")
            assert ["h2"] == hosts(app)
            await press(pilot, "h", "h", "h", "h")
            assert ["h1", "h2", "h3"] == hosts(app)
            await press(pilot, "s", "s", "s")
            assert ["h1", "h2", "h3"] == hosts(app)
            assert "Power ▼" in text(app)
            await press(pilot, "r")
            assert ["h2", "h1", "h3"] == hosts(app)
            await press(pilot, *"/zz", "escape")
            assert ["h2", "h1", "h3"] == hosts(app)
            await press(pilot, "slash", "escape", "r")
            assert ["h1", "h2", "h3"] == hosts(app)

    asyncio.run(look())


def test_enter_goes_deeper_and_escape_back():
    async def look():
        async with shown(small()) as (app, pilot):
            await press(pilot, "enter")
            assert "› h1" in text(app)
            assert re.search(r"t0 +50.0 °C +100 °C", text(app))
            await press(pilot, "escape", "down", "down", "enter")
            assert "› h3" in text(app)
            while app.query_one(Listing).selected_link != ("vm", "h3", "h3-b"):
                await press(pilot, "down")
            await press(pilot, "enter")
            assert "› h3 b" in text(app).replace("h3-b", "b")
            assert "vnet0" in text(app)
            assert "vda" in text(app)
            await press(pilot, "escape", "escape")
            assert "h1 " in text(app)
            assert app.current.name == "fleet"

    asyncio.run(look())


def test_alerts_and_their_transitions_are_listed_and_lead_to_their_host():
    async def look():
        async with shown(seeing(alert("y", host="h1", transition="cleared", revision=1), view=small())) as (app, pilot):
            await press(pilot, "a")
            assert re.search(r"critical +h2 .*too warm", text(app))
            assert re.search(r"cleared.* h1 ", text(app))
            await press(pilot, "enter")
            assert "› h2" in text(app)

    asyncio.run(look())


def test_a_silence_is_asked_for_with_what_the_alert_is_of_and_not_made_without_a_reason():
    async def look():
        async with shown(small()) as (app, pilot):
            await press(pilot, "a", "m")
            assert "host=h2 rule=temperature-high" in text(app)
            app.reload()
            await press(pilot, "enter")
            assert "a reason is required" in text(app)
            await press(pilot, "escape")
            assert "Silence:" not in text(app)

    asyncio.run(look())


def test_the_pipeline_shows_what_waits_in_a_producers_spool():
    spool = {"queued": 1500, "spooled": 1400, "spooled_bytes": 2_000_000, "dropped": 3, "rejected": 2}
    oldest = datetime.now(UTC) - timedelta(minutes=5)
    beat = make_record("Heartbeat", producer="redfish-p", source="redfish", spool_oldest_at=oldest, **spool)

    async def look():
        async with shown(seeing(("heartbeats", beat), presence("alive"), view=small()), (120, 40)) as (app, pilot):
            await press(pilot, "p")
            assert re.search(r"redfish-p +alive .* 1,500 +1,400 \(2.0 MB\) +5 min +3 \(2 rejected\)", text(app))
            assert "fleet.raw.redfish" in text(app)

    asyncio.run(look())


def test_a_notice_says_since_when_kafka_has_not_answered_until_it_answers_again():
    async def look():
        view, at = small(), datetime(2026, 1, 1, 16, 17, 2, tzinfo=UTC)
        view.record_offsets(OffsetSnapshot(0.0, {}), None, [], at)
        async with shown(view) as (app, pilot):
            view.record_kafka_error("broker transport failure")
            app.reload()
            await pilot.pause()
            assert "Kafka has not answered since 16:17:02. The values below are from then." in text(app)
            assert "h1 " in text(app)
            view.record_offsets(OffsetSnapshot(1.0, {}), None, [], at)
            app.reload()
            await pilot.pause()
            assert "Kafka has not answered" not in text(app)

    asyncio.run(look())


def test_an_unknown_host_is_reported():
    async def look():
        async with shown(small(), host="nobody") as (app, _):
            assert "Unknown host: nobody" in text(app)

    asyncio.run(look())


def test_the_cursor_stays_with_its_host_while_the_list_changes():
    async def look():
        view = small()
        async with shown(view) as (app, pilot):
            await press(pilot, "down")
            assert ("host", "h2") == app.query_one(Listing).selected_link
            seeing(target("h0"), target("h11"), view=view)
            app.reload()
            assert ("host", "h2") == app.query_one(Listing).selected_link

    asyncio.run(look())


def test_of_10_000_hosts_those_that_are_seen_are_asked_for():
    view = seeing(*(target(f"node-{number:05}") for number in range(10_000)))
    view.set_ready()
    limits = []
    hosts = view.hosts
    view.hosts = lambda *arguments, **options: limits.append(options["limit"]) or hosts(*arguments, **options)

    async def look():
        async with shown(view) as (app, pilot):
            assert "of 10,000" in text(app)
            await press(pilot, "end")
            assert "node-09999" in text(app)
            await press(pilot, "up", "pageup")
            assert "node-09999" not in text(app)
            app.reload()
            await press(pilot, "home")
            assert "node-00000" in text(app)

    asyncio.run(look())
    assert max(limits) <= 24


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is_and_does_nothing(name):
    view = seeing(
        target(name), thermal(name, (50.0, 100.0)), domains(name, name), alert("x", host=name, text=name),
    )  # fmt: skip
    view.set_ready()
    options = {"title": name, "parts": {name: "ready"}, "events": [(START_TIME, name)], "width": 120, "height": 40}
    printed = io.StringIO()
    console = Console(file=printed, width=120, color_system=None)
    console.print(screen.draw(view, **options))
    for line in header.fleet(view, 120, 10):
        console.print(line.text)

    async def look():
        async with shown(view, (120, 40), host=name) as (app, pilot):
            seen = text(app)
            await press(pilot, "a", "m")
            return seen + text(app)

    seen = printed.getvalue() + asyncio.run(look())
    literal = "".join(character if character.isprintable() else "�" for character in name)
    assert literal[:12] in seen
    assert not {character for character in seen if not character.isprintable()} - {"\n"}


@examples(max_examples=40, deadline=None)
@holds(
    some.lists(some.tuples(some.text(max_size=30), some.text(max_size=60), some.integers()), max_size=5),
    some.integers(12, 200),
)
def test_a_table_fits_into_any_width(values, width):
    columns = (
        TableColumn("First", shrink_to=4),
        TableColumn("Second", min_width=8, shrink_to=3, drop_rank=1),
        TableColumn("Number", align_right=True, drop_rank=2),
    )
    rows = [TableRow([styled(value) for value in row]) for row in values]
    paragraphs = [TableRow(row.cells[:1]) for row in rows]
    lines = render_tables([TextTable("T", columns, rows, "none"), TextTable("P", rows=paragraphs)], width)

    assert all(cell_len(line.text.plain) <= width for line in lines)


def test_a_hot_sensor_is_one_from_nine_tenths_of_its_limit_on():
    tones = [units.limit_tone(celsius, 100.0) for celsius in (89.9, 90.0, 100.0)]

    assert ["", "warn", "bad"] == tones
    assert "" == units.limit_tone(500.0, None) == units.limit_tone(None, 1.0)


def test_an_empty_fleet_is_shown_too():
    view = View()

    assert any("No hosts." in line.text.plain for line in header.fleet(view, 80, 10))
    assert list_tables.hosts(view.hosts(), START_TIME).rows == []
