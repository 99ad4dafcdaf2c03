from __future__ import annotations

import json
import os
import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import parquet

from runtime import kafka, topics
from runtime.errors import Reject, Retry
from runtime.settings import KafkaSettings
from sinks.files import dedup_store
from sinks.files import manifest as manifests
from sinks.files import sink as files_module
from sinks.files.sink import Format
from sinks.sink import Batch, Item

TOPIC = "fleet.raw.host"
ID = "A-_b"
AT = datetime(2026, 1, 2, 3, 59, 59, tzinfo=UTC)
WHOLE = (0, 1000)


OPEN: list[files_module.FilesSink] = []


class FilesSink(files_module.FilesSink):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        OPEN.append(self)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """A killed process closes its files; here the test does."""
    yield
    while OPEN:
        OPEN.pop().close()


def item(offset: int, partition: int = 0, **values: Any) -> Item:
    record = {
        "host": f"h{partition}", "category": "host", "observed_at": AT + timedelta(seconds=offset), "epoch": "e",
        "sequence": offset,
        "labels": {"rack": "r1"}, "disks": [], "filesystems": [], "interfaces": [], "temperatures": [], "cpu": None,
        "fans": [{"sensor": "f1", "speed_rpm": 1000.0 + offset}, {"sensor": "f2", "speed_rpm": None}],
        **dict.fromkeys(["boot_at", "uptime_s", "cpu_percent", "load_1", "load_5", "load_15", "memory_total",
                         "memory_available", "memory_used", "memory_cached", "swap_total", "swap_used", "swap_in",
                         "swap_out", "processes"]),
        **values,
    }  # fmt: skip
    return Item("raw-host", (TOPIC, partition), offset, record)


def batch(*items: Item) -> Batch:
    spans: dict[Any, tuple[int, int]] = {}
    for record in items:
        spans[record.partition] = (spans.get(record.partition, (record.offset, 0))[0], record.offset + 1)
    return Batch(items, spans)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    monkeypatch.setattr(topics, "topic_id", lambda *_: ID)
    monkeypatch.setattr(kafka, "watermarks", lambda *_: {})
    return KafkaSettings.read(bootstrap="nowhere:1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture(params=["parquet", "jsonl"])
def kind(request: pytest.FixtureRequest) -> Format:
    return request.param


def owner(settings: KafkaSettings, root: Path, kind: Format = "parquet", span: tuple[int, int] = WHOLE) -> FilesSink:
    sink = FilesSink(settings, root, kind)
    sink.assign((TOPIC, 0), span)
    return sink


def rows(root: Path, dataset: str) -> list[dict[str, Any]]:
    """The committed rows, by the manifest."""
    committed = []
    for path in manifests.stored_files(root, dataset):
        if path.suffix == ".jsonl":
            committed += [json.loads(text) for text in path.read_text().splitlines()]
        else:
            committed += parquet.ParquetFile(path).read().to_pylist()
    return committed


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.suffix != ""} - {
        str(path.relative_to(root)) for path in (root / manifests.FOLDER).iterdir()
    }


def listed(root: Path) -> set[str]:
    return {file.path for entry in manifests.read_manifest(root) for file in entry.files}


def sequences(root: Path) -> Counter[int]:
    return Counter(row["sequence"] for row in rows(root, "host"))


def test_rows_are_stored_by_their_hour_and_committed_by_the_manifest(settings, root, kind) -> None:
    sink = owner(settings, root, kind)
    sink.write(batch(item(0), item(1)))
    assert files(root) == listed(root) == {
        f"{dataset}/date=2026-01-02/hour={hour}/{TOPIC}-{ID}-0-0-1.{kind}"
        for dataset in ("host", "host_fan") for hour in ("03", "04")
    }  # fmt: skip
    [entry] = manifests.read_manifest(root)
    assert (entry.topic, entry.topic_id, entry.partition, entry.first, entry.last) == (TOPIC, ID, 0, 0, 1)
    assert {file.rows for file in entry.files if file.dataset == "host_fan"} == {2}
    assert all(file.bytes == (root / file.path).stat().st_size for file in entry.files)


def test_duckdb_reads_both_formats_with_types_and_partitions(settings, root, kind) -> None:
    owner(settings, root, kind).write(batch(item(0), item(1)))
    read = {"parquet": "read_parquet", "jsonl": "read_json_auto"}[kind]
    found = duckdb.sql(
        f"SELECT host, sensor, speed_rpm, hour, labels['rack'] AS rack, epoch_us(time::TIMESTAMPTZ) AS us "
        f"FROM {read}('{root}/host_fan/*/*/*.{kind}', hive_partitioning=true) ORDER BY us, sensor"
    ).fetchall()
    rack = lambda value: value[0] if isinstance(value, list) else value  # noqa: E731
    us = int(AT.timestamp()) * 1_000_000
    assert [(*row[:3], int(row[3]), rack(row[4]), row[5]) for row in found] == [
        ("h0", "f1", 1000.0, 3, "r1", us), ("h0", "f2", None, 3, "r1", us),
        ("h0", "f1", 1001.0, 4, "r1", us + 1_000_000), ("h0", "f2", None, 4, "r1", us + 1_000_000),
    ]  # fmt: skip


def test_a_batch_written_again_changes_nothing(settings, root, kind) -> None:
    sink = owner(settings, root, kind)
    sink.write(batch(item(0), item(1)))
    before = {path: (root / path).stat().st_mtime_ns for path in files(root)}
    sink.write(batch(item(0), item(1)))
    assert before == {path: (root / path).stat().st_mtime_ns for path in files(root)}
    sink.write(batch(item(1), item(2)))
    assert sequences(root) == {0: 1, 1: 1, 2: 1}


def test_offsets_without_a_record_are_covered(settings, root) -> None:
    sink = owner(settings, root)
    sink.write(Batch((item(3),), {(TOPIC, 0): (2, 7)}))
    sink.close()
    assert FilesSink(settings, root).assign((TOPIC, 0), WHOLE) == 7


def test_reading_resumes_after_the_last_committed_offset(settings, root) -> None:
    sink = FilesSink(settings, root)
    assert sink.assign((TOPIC, 0), WHOLE) is None
    sink.write(batch(item(5), item(6)))
    sink.revoke((TOPIC, 0))
    assert sink.assign((TOPIC, 0), WHOLE) == 7


def test_files_of_a_crash_before_the_manifest_line_go(settings, root) -> None:
    sink = owner(settings, root)
    sink.write(batch(item(0)))
    good = files(root)
    hour = root / "host" / "date=2026-01-02" / "hour=03"
    (hour / f"{TOPIC}-{ID}-0-1-2.parquet").write_bytes(b"x")
    (hour / f".{TOPIC}-{ID}-0-1-2.parquet.tmp").write_bytes(b"x")
    others = {f"{TOPIC}-{ID}-1-1-2.parquet", f"{TOPIC}-{ID}-10-1-2.parquet", "mine.parquet"}
    for name in others:
        (hour / name).write_bytes(b"x")
    with sink.manifests[TOPIC, 0].path.open("ab") as torn:
        torn.write(b'{"topic":"fl')
    sink.close()
    sink = FilesSink(settings, root)
    assert sink.assign((TOPIC, 0), WHOLE) == 1
    assert files(root) == good | {str((hour / name).relative_to(root)) for name in others}
    sink.write(batch(item(1)))
    assert sequences(root) == {0: 1, 1: 1}


def test_two_owners_of_one_partition_exclude_each_other(settings, root) -> None:
    first = owner(settings, root)
    second = FilesSink(settings, root)
    with pytest.raises(Retry, match="another process writes the files"):
        second.assign((TOPIC, 0), WHOLE)
    assert second.assign((TOPIC, 1), WHOLE) is None
    first.revoke((TOPIC, 0))
    assert second.assign((TOPIC, 0), WHOLE) is None


@pytest.fixture
def full_disk() -> Iterator[Any]:
    """A limit on the size of files: writing beyond it fails as on a full disk, root or not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [100, 3000], ids=["at the first file", "later"])
def test_a_full_disk_is_tried_again_and_leaves_nothing_partial(settings, root, kind, full_disk, size) -> None:
    sink = owner(settings, root, kind)
    sink.write(batch(item(0)))
    good = files(root)
    full_disk(size)
    many = batch(*(item(offset) for offset in range(1, 200)))
    with pytest.raises(Retry, match=r"cannot write under .*: File too large"):
        sink.write(many)
    full_disk(resource.RLIM_INFINITY)
    assert files(root) == good == listed(root)
    sink.write(many)
    assert sequences(root) == dict.fromkeys(range(200), 1)


def test_a_full_disk_at_the_manifest_line_leaves_no_half_line(settings, root, full_disk) -> None:
    sink = owner(settings, root, "jsonl")
    for offset in range(20):
        sink.write(batch(item(offset)))
    path = sink.manifests[TOPIC, 0].path
    before = path.read_bytes()
    full_disk(len(before) + 10)
    with pytest.raises(Retry):
        sink.write(batch(item(20)))
    full_disk(resource.RLIM_INFINITY)
    assert path.read_bytes() == before
    assert files(root) == listed(root)
    sink.write(batch(item(20)))
    assert sequences(root) == dict.fromkeys(range(21), 1)


def test_a_vanished_root_is_tried_again_until_it_is_back(settings, root, tmp_path) -> None:
    sink = owner(settings, root)
    sink.write(batch(item(0)))
    root.rename(tmp_path / "unmounted")
    with pytest.raises(Retry, match="has vanished"):
        sink.write(batch(item(1)))
    assert not root.exists()
    (tmp_path / "unmounted").rename(root)
    sink.write(batch(item(1)))
    assert sequences(root) == {0: 1, 1: 1}


def test_a_root_removed_for_good_is_not_written_to_behind_its_back(settings, root) -> None:
    sink = owner(settings, root)
    shutil.rmtree(root)
    with pytest.raises(Retry, match="restart the sink"):
        sink.write(batch(item(0)))
    sink.close()
    owner(settings, root).write(batch(item(0)))
    assert sequences(root) == {0: 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_root_is_a_clear_message(settings, root) -> None:
    root.mkdir(mode=0o500)
    with pytest.raises(Retry, match="Permission denied"):
        owner(settings, root)


def test_a_root_that_is_no_folder_is_a_clear_message(settings, root) -> None:
    root.write_text("")
    with pytest.raises(Retry, match=r"cannot write .*: Not a directory"):
        owner(settings, root)


def test_a_record_that_makes_no_rows_is_refused_and_the_others_stored(settings, root) -> None:
    sink = owner(settings, root)
    with pytest.raises(Reject) as refused:
        sink.write(batch(item(0), item(1, observed_at="yesterday"), item(2)))
    assert list(refused.value.reasons) == [1]
    assert sequences(root) == {0: 1, 2: 1}


def test_a_refusal_is_not_forgotten_when_another_partition_must_be_tried_again(settings, root) -> None:
    sink = owner(settings, root)
    sink.assign((TOPIC, 1), WHOLE)
    both = batch(item(0, observed_at=None), item(0, partition=1))
    path = sink.manifests[TOPIC, 1].path
    path.rename(path.with_suffix(".away"))
    with pytest.raises(Retry):
        sink.write(both)
    path.with_suffix(".away").rename(path)
    with pytest.raises(Reject) as refused:
        sink.write(both)
    assert list(refused.value.reasons) == [0]


def test_records_under_offsets_a_broker_gave_twice_are_all_stored(settings, root) -> None:
    sink = owner(settings, root)
    sink.write(batch(item(0), item(1), item(2)))
    sink.close()
    sink = FilesSink(settings, root)
    assert sink.assign((TOPIC, 0), (0, 1)) == 1  # the broker lost 1 and 2
    sink.write(batch(*(item(offset, sequence=offset + 10) for offset in (1, 2))))
    sink.close()
    assert sequences(root) == dict.fromkeys([0, 1, 2, 11, 12], 1)
    assert files(root) == listed(root)
    assert FilesSink(settings, root).assign((TOPIC, 0), WHOLE) == 3


def test_json_lines_have_no_nan_and_keep_nulls(settings, root) -> None:
    owner(settings, root, "jsonl").write(batch(item(0, load_1=float("nan"), load_5=float("inf"), load_15=0.5)))
    [row] = rows(root, "host")
    assert (row["load_1"], row["load_5"], row["load_15"], row["processes"]) == (None, None, 0.5, None)
    assert row["time"] == "2026-01-02T03:59:59+00:00"
    assert row["labels"] == {"rack": "r1"}


def test_a_second_copy_of_a_record_is_left_out(settings, root) -> None:
    sink = owner(settings, root)
    sink.write(batch(item(0), item(1, sequence=0), item(2, sequence=5)))
    sink.write(batch(item(3, sequence=5), item(4, sequence=0), item(5, sequence=6)))
    assert sequences(root) == {0: 1, 5: 1, 6: 1}
    assert [(entry.first, entry.last) for entry in manifests.read_manifest(root)] == [(0, 2), (3, 5)]


def test_a_lower_sequence_that_is_not_stored_is_no_copy_nor_is_one_of_another_epoch(settings, root) -> None:
    sink = owner(settings, root)
    sink.write(batch(item(0, sequence=7)))
    sink.write(batch(item(1, sequence=3), item(2, sequence=7, epoch="later"), item(3, sequence=7, host="other")))
    assert sequences(root) == {7: 3, 3: 1}


def test_a_copy_is_left_out_by_the_next_owner_too(settings, root) -> None:
    owner(settings, root).write(batch(item(0), item(1)))
    OPEN[-1].close()
    owner(settings, root).write(batch(item(2, sequence=1), item(3, sequence=0), item(4, sequence=2)))
    assert sequences(root) == {0: 1, 1: 1, 2: 1}


def test_what_could_not_be_written_is_not_taken_for_stored(settings, root, full_disk) -> None:
    sink = owner(settings, root)
    full_disk(100)
    with pytest.raises(Retry):
        sink.write(batch(item(0)))
    full_disk(resource.RLIM_INFINITY)
    sink.write(batch(item(0), item(1, sequence=0)))
    assert sequences(root) == {0: 1}


def test_a_record_that_was_refused_is_not_taken_for_stored(settings, root) -> None:
    sink = owner(settings, root)
    with pytest.raises(Reject):
        sink.write(batch(item(0, observed_at=None), item(1)))
    sink.write(batch(item(2, sequence=0), item(3, sequence=1)))
    assert sequences(root) == {0: 1, 1: 1}


def test_a_note_is_written_now_and_then_for_a_kill_writes_none(settings, root, monkeypatch) -> None:
    monkeypatch.setattr(dedup_store, "SNAPSHOT_EVERY_OFFSETS", 3)
    sink = owner(settings, root)
    ends = []
    for offset in range(8):
        sink.write(batch(item(offset)))
        ends += [json.loads(path.read_text())["end"] for path in (root / manifests.FOLDER).glob("*.stored.json")]
    assert ends == [3, 3, 3, 6, 6, 6]


@pytest.mark.parametrize(
    "note", ["", "{}", '{"end":1,"series":[[1]]}', '{"end":9', '{"end":2,"series":[[["h0"],[["e",["x"]]]]]}'],
    ids=["empty", "of another kind", "of other series", "torn", "with text for numbers"],
)  # fmt: skip
def test_a_note_that_cannot_be_read_costs_nothing_but_the_reading(settings, root, note) -> None:
    owner(settings, root).write(batch(item(0)))
    OPEN[-1].close()
    [path] = (root / manifests.FOLDER).glob("*.stored.json")
    path.write_text(note)
    owner(settings, root).write(batch(item(1)))
    OPEN[-1].close()
    assert sequences(root) == {0: 1, 1: 1}
    assert json.loads(path.read_text())["end"] == 2
