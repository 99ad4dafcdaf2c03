"""Points in InfluxDB against what a replay gives: names every difference, and stores nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sinks import datasets
from sinks.influx import points
from sinks.influx.line_protocol import timestamp_ns
from sinks.influx.points import SPAN_NS, Point
from sinks.influx.setup import Server
from sinks.influx.sink import Lines
from sinks.replay.destination import KINDS, Difference, Tally, Tell

if TYPE_CHECKING:
    from runtime.kafka import Span
    from sinks.files.manifest import Range
    from sinks.rows import Dataset
    from sinks.settings import InfluxSettings
    from sinks.sink import Item

Key = tuple[str, int, str]
"""Measurement, time, tags as JSON."""


class PointComparison:
    """Points as what a replay is compared with. What they are is kept in a temporary database on disk.

    Args:
        settings: where InfluxDB is.
        within: what the replay is about.
        aliases: the topics it is about.
        incomplete: those of which the replay has not all that there was: what is stored beyond it is no difference.
        tell: told of each difference.
    """

    def __init__(
        self,
        settings: InfluxSettings,
        within: Range,
        aliases: Iterable[str],
        incomplete: set[str],
        tell: Tell,
    ) -> None:
        self._server, self._settings = Server(settings), settings
        self._range, self._incomplete, self._tell = within, incomplete, tell
        self._known = {each.name: each for alias in aliases for each in datasets.of(alias)}
        self._lines = Lines()
        self._read: set[tuple[str, int]] = set()
        """Measurement and time of each stretch that was read."""
        self._db: Final = sqlite3.connect("", isolation_level=None)  # a file without a name, which nobody else sees
        for pragma in ("synchronous = off", "journal_mode = off", "cache_size = -16384"):
            self._db.execute(f"pragma {pragma}")
        self._db.execute(
            "create table points (measurement text, at integer, tags text, fields text, seen integer default 0,"
            " primary key (measurement, at, tags)) without rowid"
        )
        self._since = self._kept_since()
        self.tally = Tally()
        self.counts = dict.fromkeys(KINDS, 0)

    def look(self) -> None:
        """Reads what is stored in the range, but of datasets whose rows have times of their own.

        Raises:
            Retry: InfluxDB is away.
            Misconfigured: it refuses to be read.
        """
        for dataset in self._known.values():
            if not _has_own_times(dataset):
                self._learn(dataset.name, timestamp_ns(self._range.since), timestamp_ns(self._range.until))

    def open(self, number: int, aliases: Mapping[str, Span]) -> None:
        """Nothing to prepare: points do not tell their partition."""

    def put(self, item: Item) -> None:
        """Compares the points of one record."""
        for point in self._points(item):
            if self._is_gone(point):
                continue
            if _has_own_times(self._known[point.measurement]):
                begin = point.at_ns - point.at_ns % SPAN_NS
                self._learn(point.measurement, begin, begin + SPAN_NS)
            rows = self._db.execute(
                "select fields, seen from points where measurement = ? and at = ? and tags = ?", key := _key(point)
            ).fetchall()
            if not rows:
                self._differ("missing", point)
                self._keep(point, seen=True)  # once is enough
                continue
            [(text, seen)] = rows
            if seen:
                continue
            self._mark(key)
            self.tally.add(point.measurement, new=0, there=1)
            if (found := json.loads(text)) != point.fields:
                self._differ("different", point, found)

    def leave(self, item: Item) -> None:
        """Of what the live sink will store, or has just stored, nothing is said."""
        for point in self._points(item):
            self._mark(_key(point))

    def commit(self, number: int, covered: Mapping[str, Span]) -> None:
        """What is additional is known at the end of all partitions: see `finish`."""

    def finish(self, left_out: Iterable[str]) -> None:
        """What is stored and did not come is additional, but of these topics, of which the replay knows nothing."""
        unknown = self._incomplete | set(left_out)
        left = "select measurement, at, tags from points where not seen"
        for measurement, at_ns, tags in self._db.execute(left):
            point = Point(measurement, tuple(map(tuple, json.loads(tags))), at_ns, {})
            dataset = self._known[measurement]
            hosts = self._range.hosts
            asked = hosts is None or dict(point.tags).get("host") in hosts
            if asked and dataset.alias not in unknown and not _has_own_times(dataset) and not self._is_gone(point):
                self._differ("additional", point)

    def close(self) -> None:
        """Lets the temporary database go."""
        self._db.close()

    def _points(self, item: Item) -> list[Point]:
        try:
            return [points.parse(line) for line in self._lines(item)]
        except Exception as error:  # noqa: BLE001  one record must never stop a replay
            self.tally.refuse([f"no lines can be made of it: {error!r}"])
            return []

    def _learn(self, measurement: str, begin: int, end: int) -> None:
        """Reads one stretch of a measurement, once."""
        if (measurement, begin) not in self._read:
            self._read.add((measurement, begin))
            for point in points.stored(self._server, self._database(measurement), measurement, begin, end):
                self._keep(point)

    def _keep(self, point: Point, *, seen: bool = False) -> None:
        text = json.dumps(point.fields, ensure_ascii=False)
        self._db.execute("insert or ignore into points values (?, ?, ?, ?, ?)", (*_key(point), text, seen))

    def _mark(self, key: Key) -> None:
        self._db.execute("update points set seen = 1 where measurement = ? and at = ? and tags = ?", key)

    def _database(self, measurement: str) -> str:
        own = self._settings.devices_database if measurement == "vm_devices" else None
        return own or self._settings.database

    def _kept_since(self) -> dict[str, int]:
        """Database → before when its retention deletes, in ns, where the server tells and it does."""
        now = datetime.now(UTC)
        return {
            place.name: timestamp_ns(now - timedelta(days=place.days))
            for place in self._server.places(create=False)
            if place.days
        }

    def _is_gone(self, point: Point) -> bool:
        return point.at_ns < self._since.get(self._database(point.measurement), point.at_ns)

    def _differ(self, what: str, point: Point, found: dict[str, Any] | None = None) -> None:
        self.counts[what] += 1
        time = datetime.fromtimestamp(point.at_ns // points.NANOSECONDS, UTC)
        time += timedelta(microseconds=point.at_ns % points.NANOSECONDS // 1000)
        row = {"time": time.isoformat()} | dict(point.tags)
        told: Difference = {"what": what, "dataset": point.measurement, "row": row}
        if found is not None:
            names = sorted({*found, *point.fields})
            pairs = {name: [found.get(name), point.fields.get(name)] for name in names}
            told["fields"] = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        self._tell(told)


def _key(point: Point) -> Key:
    return point.measurement, point.at_ns, json.dumps(point.tags, ensure_ascii=False)


def _has_own_times(dataset: Dataset) -> bool:
    """Whether its rows have times of their own, not the record's: then the range does not say which are asked for."""
    return any(part.sources[0][0] for part in dataset.parts)
