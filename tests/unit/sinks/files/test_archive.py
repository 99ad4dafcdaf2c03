"""The archive without Kafka: any Avro tool reads it, each record is in it once, and its offsets are found again."""

from datetime import UTC, datetime, timedelta

import fastavro
import pytest

from rackstream.replay.progress import progress_text
from runtime import topics
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import make_raw_record
from sinks.files import hourly_files
from sinks.files.archive_reader import Archive
from sinks.files.archive_sink import ArchiveSink, archived_topics
from sinks.files.retention import Retention, RetentionLimits, deletion_horizon, kept_since
from sinks.sink import Batch, Item, KafkaRecord

AT = datetime(2026, 1, 2, 3, 59, 58, tzinfo=UTC)
NAME = "fleet.raw.host"
KEY = (NAME, 0)


def at(n):
    return AT + timedelta(seconds=n)


def item(n, *, offset=None, value=None):
    """A record observed n seconds in, appended half a second later; or bytes that are no record."""
    record = {} if value is not None else make_raw_record("HostSample", host="h1", observed_at=at(n), sequence=n)
    value = value or codec.encode(catalog.schema("HostSample"), record)
    wire = KafkaRecord(b"h1", value, at(n) + timedelta(milliseconds=500), (("trace", b"1"), ("none", None)))
    return Item("raw-host", KEY, n if offset is None else offset, record, wire)


def batch(*items):
    return Batch(items, {KEY: (items[0].offset, items[-1].offset + 1)})


@pytest.fixture
def sink(tmp_path, monkeypatch):
    """Makes sinks; each takes over from the one before, on the topic of this id."""
    made = []

    def make(topic_id="A", span=(0, 1000)):
        monkeypatch.setattr(topics, "topic_id", lambda *_: topic_id)
        while made:
            made.pop().close()
        made.append(ArchiveSink(KafkaSettings.read(bootstrap="nowhere:1"), tmp_path))
        made[0].resumes = made[0].assign(KEY, span)
        return made[0]

    yield make
    while made:
        made.pop().close()


def offsets(root, current="A", span=(-99, 99)):
    return [each.offset for each in Archive(root, {NAME: current}).read(KEY, span)]


def test_an_avro_tool_reads_the_original_bytes_and_the_schemas_are_beside_them(sink, tmp_path):
    sink().write(batch(item(0), item(3), item(4, value=b"\7garbage")))

    paths = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.avro"))
    assert [f"{NAME}/date=2026-01-02/hour={hour}/{NAME}-A-0-0-4.avro" for hour in ("03", "04")] == [*map(str, paths)]
    with (tmp_path / paths[1]).open("rb") as file:
        reader = fastavro.reader(file)
        assert "deflate" == reader.metadata["avro.codec"]
        first, second = reader
    assert (NAME, 0, 3, b"h1") == (first["topic"], first["partition"], first["offset"], first["key"])
    assert (at(3.5), item(3).original.value) == (first["appended_at"], first["value"])
    assert [{"key": "trace", "value": b"1"}, {"key": "none", "value": None}] == first["headers"]
    assert b"\7garbage" == second["value"]
    schema = catalog.schema("HostSample")
    assert {schema.id: schema.definition} == Archive(tmp_path, {}).schemas()


def test_records_come_back_in_the_order_of_their_offsets_whatever_hour_they_are_of(sink, tmp_path):
    sink().write(batch(item(5, offset=0), item(0, offset=1), item(6, offset=2)))

    assert [0, 1, 2] == offsets(tmp_path)
    assert [1] == offsets(tmp_path, span=(1, 2))
    assert item(0, offset=1).original == next(Archive(tmp_path, {}).read(KEY, (-2, -1))).original


@pytest.mark.parametrize(
    ("moment", "offset"),
    [
        pytest.param(at(-5), 0, id="before all"),
        pytest.param(at(2.5), 2, id="when one was appended"),
        pytest.param(at(2.6), 3, id="between two of one commit"),
        pytest.param(at(3.6), 4, id="between two commits"),
        pytest.param(at(99), 8, id="after all"),
    ],
)
def test_an_offset_is_found_by_the_time_of_appending(sink, tmp_path, moment, offset):
    made = sink()
    made.write(batch(*[item(n) for n in range(4)]))
    made.write(batch(*[item(n) for n in range(4, 8)]))

    assert offset == Archive(tmp_path, {NAME: "A"}).offset_at(KEY, int(moment.timestamp() * 1000))


def test_a_crash_before_the_commit_leaves_each_record_once(sink, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    made = sink()
    made.write(batch(item(0), item(3)))
    with monkeypatch.context() as patch:
        patch.setattr(hourly_files.PartitionManifest, "commit", die)
        with pytest.raises(Killed):
            made.write(batch(item(4), item(5)))
    assert 3 == len(list(tmp_path.rglob("*.avro")))
    made = sink()
    assert 2 == len(list(tmp_path.rglob("*.avro")))
    assert 4 == made.resumes
    made.write(batch(item(3), item(4), item(5)))

    assert [0, 3, 4, 5] == offsets(tmp_path)


def test_a_topic_created_anew_keeps_its_numbers_and_the_one_before_lies_below_0(sink, tmp_path):
    sink("A").write(batch(item(0), item(1)))
    sink("B").write(batch(item(2, offset=0), item(3, offset=1)))

    assert [-2, -1, 0, 1] == offsets(tmp_path, current="B")
    assert [-4, -3, -2, -1] == offsets(tmp_path, current="C")
    assert {NAME: {0: (-2, 2)}} == Archive(tmp_path, {NAME: "B"}).spans
    assert {NAME: {0: (-2, 2)}} == Archive(tmp_path, None).spans, "where Kafka is gone"


def test_an_archive_knows_whether_it_is_whole(sink, tmp_path):
    made = sink()
    made.write(batch(item(0), item(3)))
    assert Archive(tmp_path, {}).is_complete(KEY)
    next(tmp_path.rglob("hour=04/*.avro")).unlink()

    archive = Archive(tmp_path, {})

    assert not archive.is_complete(KEY)
    assert 1 == len(archive.missing_files)
    assert [-4] == [each.offset for each in archive.read(KEY, (-9, 9))]


def test_a_directory_without_an_archive_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="has no archive"):
        Archive(tmp_path, {})


def test_what_producers_write_is_archived_and_the_packs_that_judge_it():
    assert {"raw-redfish", "raw-libvirt", "raw-host", "raw-app", "state-targets", "heartbeats", "rules"} == {
        *archived_topics()
    }


HOURS = [datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in range(4)]
NOW = HOURS[3] + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("keep", "since"),
    [
        pytest.param(RetentionLimits(), None, id="all, without a limit"),
        pytest.param(RetentionLimits(days=1), None, id="what is young enough"),
        pytest.param(RetentionLimits(days=1 / 24), HOURS[2], id="hours that ended within an hour"),
        pytest.param(RetentionLimits(bytes=400), None, id="what is small enough"),
        pytest.param(RetentionLimits(bytes=399), HOURS[1], id="less by the oldest hour"),
        pytest.param(RetentionLimits(bytes=150), HOURS[3], id="less by three hours"),
        pytest.param(RetentionLimits(bytes=1), HOURS[3], id="never less than the hour that is being written"),
        pytest.param(RetentionLimits(days=1 / 24, bytes=150), HOURS[3], id="what both leave"),
    ],
)
def test_retention_keeps(keep, since):
    assert since == deletion_horizon(dict.fromkeys(HOURS, 100), keep, NOW)


def test_retention_deletes_the_oldest_hours_and_never_what_is_not_committed(sink, tmp_path):
    made = sink()
    made.write(batch(item(0), item(3)))
    open_file = next(tmp_path.rglob("hour=03/*.avro")).with_name(f"{NAME}-A-0-9-9.avro")
    open_file.write_bytes(b"not committed yet")
    assert 0 == Retention(tmp_path, RetentionLimits(days=1), now=lambda: at(3600)).delete_expired()
    assert kept_since(tmp_path) is None

    assert 1 == Retention(tmp_path, RetentionLimits(days=1), now=lambda: at(3) + timedelta(days=1)).delete_expired()

    assert datetime(2026, 1, 2, 4, tzinfo=UTC) == kept_since(tmp_path)
    assert open_file.exists()
    assert [3] == offsets(tmp_path)
    made.write(batch(item(1, offset=4)))  # late, of an hour that is gone
    assert 1 == Retention(tmp_path, RetentionLimits(days=1), now=lambda: at(3) + timedelta(days=1)).delete_expired()
    assert [3] == offsets(tmp_path)


def test_progress_says_how_many_how_fast_and_how_long_still():
    assert "2,000 of 10,000 records, 500/s, 16 s left" == progress_text(2000, 10_000, 4.0)
    assert "0 of 10 records, 0/s" == progress_text(0, 10, 0.0)
