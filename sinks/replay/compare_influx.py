"""Comparison of points in InfluxDB with a replay: reports every difference, and stores nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sinks import datasets
from sinks.influx import points
from sinks.influx.line_protocol import timestamp_ns
from sinks.influx.points import SPAN_NS, Point
from sinks.influx.setup import InfluxServer
from sinks.influx.sink import RecordLines
from sinks.replay.destination import DIFFERENCE_KINDS, Difference, DifferenceKind, OnDifference, ReplayCounts

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from sinks.files.manifest import ReplayRange
    from sinks.rows import Dataset
    from sinks.settings import InfluxSettings
    from sinks.sink import Item

PointKey = tuple[str, int, str]
"""Measurement, time, tags as JSON."""


class InfluxComparison:
    """Compares points in InfluxDB with a replay. Stored points are kept in a temporary database on disk.

    Args:
        settings: Where InfluxDB is.
        period: The records of the replay.
        aliases: Topics that are compared.
        incomplete: Aliases of topics of which the replay lacks records: additional stored points are no difference.
        on_difference: Called with each difference.
    """

    def __init__(
        self,
        settings: InfluxSettings,
        period: ReplayRange,
        aliases: Iterable[str],
        incomplete: set[str],
        on_difference: OnDifference,
    ) -> None:
        self._server, self._settings = InfluxServer(settings), settings
        self._period, self._incomplete, self._on_difference = period, incomplete, on_difference
        self._datasets = {dataset.name: dataset for alias in aliases for dataset in datasets.for_topic(alias)}
        self._lines = RecordLines()
        self._read: set[tuple[str, int]] = set()
        """Measurement and first time of each period that was read."""
        self._db: Final = sqlite3.connect("", isolation_level=None)  # a file without a name, invisible to others
        for pragma in ("synchronous = off", "journal_mode = off", "cache_size = -16384"):
            self._db.execute(f"pragma {pragma}")
        self._db.execute(
            "create table points (measurement text, at integer, tags text, fields text, seen integer default 0,"
            " primary key (measurement, at, tags)) without rowid"
        )
        self._kept_since_ns = self._retention_starts_ns()
        self.counts = ReplayCounts()
        self.difference_counts: dict[DifferenceKind, int] = dict.fromkeys(DIFFERENCE_KINDS, 0)

    def read_stored(self) -> None:
        """Reads the stored points of the period, except for datasets whose rows have times of their own.

        Raises:
            Retry: InfluxDB is unreachable.
            Misconfigured: It refuses the query.
        """
        for dataset in self._datasets.values():
            if not _has_own_times(dataset):
                self._read_once(dataset.name, timestamp_ns(self._period.since), timestamp_ns(self._period.until))

    def open(self, number: int, aliases: Mapping[str, OffsetRange]) -> None:
        """Does nothing: points do not have their partition."""

    def put(self, item: Item) -> None:
        """Compares the points of one record."""
        for point in self._points(item):
            if self._is_expired(point):
                continue
            if _has_own_times(self._datasets[point.measurement]):
                begin = point.at_ns - point.at_ns % SPAN_NS
                self._read_once(point.measurement, begin, begin + SPAN_NS)
            rows = self._db.execute(
                "select fields, seen from points where measurement = ? and at = ? and tags = ?", key := _key(point)
            ).fetchall()
            if not rows:
                self._report("missing", point)
                self._insert(point, seen=True)  # reported once
                continue
            [(text, seen)] = rows
            if seen:
                continue
            self._mark_seen(key)
            self.counts.add(point.measurement, new=0, already_stored=1)
            stored_fields: dict[str, object] = json.loads(text)
            if stored_fields != point.fields:
                self._report("different", point, stored_fields)

    def skip(self, item: Item) -> None:
        """Ignores the points of a record that the live sink will store, or has just stored."""
        for point in self._points(item):
            self._mark_seen(_key(point))

    def commit(self, number: int, covered: Mapping[str, OffsetRange]) -> None:
        """Does nothing: additional points are known only after all partitions, see `finish`."""

    def finish(self, left_out: Iterable[str]) -> None:
        """Reports stored points that the replay did not yield as `additional`.

        Points of incomplete topics, and of topics that the replay does not cover, are not reported.
        """
        uncovered = self._incomplete | set(left_out)
        unseen = self._db.execute("select measurement, at, tags from points where not seen")
        for measurement, at_ns, tags in unseen:
            point = Point(measurement, tuple(map(tuple, json.loads(tags))), at_ns, {})
            dataset = self._datasets[measurement]
            hosts = self._period.hosts
            is_in_replay = hosts is None or dict(point.tags).get("host") in hosts
            is_covered = dataset.alias not in uncovered and not _has_own_times(dataset)
            if is_in_replay and is_covered and not self._is_expired(point):
                self._report("additional", point)

    def close(self) -> None:
        """Deletes the temporary database."""
        self._db.close()

    def _points(self, item: Item) -> list[Point]:
        try:
            return [points.parse_line(line) for line in self._lines(item)]
        except Exception as error:  # noqa: BLE001  one record must never stop a replay
            self.counts.refuse([f"cannot be converted to lines: {error!r}"])
            return []

    def _read_once(self, measurement: str, begin_ns: int, end_ns: int) -> None:
        """Reads one period of a measurement, unless it was read before."""
        if (measurement, begin_ns) not in self._read:
            self._read.add((measurement, begin_ns))
            database = self._database(measurement)
            for point in points.stored_points(self._server, database, measurement, begin_ns, end_ns):
                self._insert(point)

    def _insert(self, point: Point, *, seen: bool = False) -> None:
        text = json.dumps(point.fields, ensure_ascii=False)
        self._db.execute("insert or ignore into points values (?, ?, ?, ?, ?)", (*_key(point), text, seen))

    def _mark_seen(self, key: PointKey) -> None:
        self._db.execute("update points set seen = 1 where measurement = ? and at = ? and tags = ?", key)

    def _database(self, measurement: str) -> str:
        devices_database = self._settings.devices_database if measurement == "vm_devices" else None
        return devices_database or self._settings.database

    def _retention_starts_ns(self) -> dict[str, int]:
        """Returns for each database the time before which retention deletes, if the server reports a retention."""
        now = datetime.now(UTC)
        return {
            target.name: timestamp_ns(now - timedelta(days=target.retention_days))
            for target in self._server.write_targets(create=False)
            if target.retention_days
        }

    def _is_expired(self, point: Point) -> bool:
        """True if retention deletes the point."""
        return point.at_ns < self._kept_since_ns.get(self._database(point.measurement), point.at_ns)

    def _report(self, kind: DifferenceKind, point: Point, stored: dict[str, object] | None = None) -> None:
        self.difference_counts[kind] += 1
        time = datetime.fromtimestamp(point.at_ns // points.NANOSECONDS, UTC)
        time += timedelta(microseconds=point.at_ns % points.NANOSECONDS // 1000)
        identity: dict[str, object] = {"time": time.isoformat(), **dict(point.tags)}
        difference: Difference = {"what": kind, "dataset": point.measurement, "row": identity}
        if stored is not None:
            names = sorted({*stored, *point.fields})
            pairs = {name: [stored.get(name), point.fields.get(name)] for name in names}
            difference["fields"] = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        self._on_difference(difference)


def _key(point: Point) -> PointKey:
    return point.measurement, point.at_ns, json.dumps(point.tags, ensure_ascii=False)


def _has_own_times(dataset: Dataset) -> bool:
    """True if rows have times of their own, not the record's, which may be outside the period."""
    return any(part.sources[0][0] for part in dataset.parts)
