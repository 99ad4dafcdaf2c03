"""Files by day and hour of what they hold (UTC), and the sinks that write them: a file per hour, commit and partition.

    <root>/<dataset>/date=YYYY-MM-DD/hour=HH/<topic>-<topic id>-<partition>-<first>-<last>.<format>
    <root>/_manifest/<topic>-<topic id>-<partition>.jsonl

Files are written aside, synced, renamed, and then committed by one line in the partition's manifest. A crash before
that line leaves files that the next owner of the partition deletes; a crash after it loses nothing, for reading resumes
after the last line. So a row is stored exactly once, whatever Kafka's committed offset is; and also where its record is
on the topic at two offsets, if the sink is given a memory of what is stored (`recall`).
"""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import structlog

from runtime import topics
from runtime.errors import Reject, Retry
from sinks.files.manifest import File, Manifest
from sinks.files.retention import Keep, Retention

if TYPE_CHECKING:
    from runtime.kafka import Span
    from runtime.settings import KafkaSettings
    from sinks.files.dedup_store import Recall
    from sinks.sink import Batch, Item, Partition

log = structlog.get_logger()
CLOCK_SLACK_S: Final = 3600.0
"""How far the machine's clock may have been put back between a crash and the restart."""
TOPIC_ID_S: Final = 60.0
"""How long a topic's id is believed: a topic may be deleted and created again while we run."""
Write = Callable[[IO[bytes]], int]
"""Writes the content of a file; returns how many rows it has."""
Contents = Mapping[tuple[str, str], Write]
"""What is to be written by dataset and hour folder."""


def folder(moment: datetime) -> str:
    """The hour folder of a row's time."""
    return moment.astimezone(UTC).strftime("date=%Y-%m-%d/hour=%H")


def sync(path: Path) -> None:
    """Returns when a folder's names would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make(path: Path, root: Path) -> None:
    """Makes a folder under the root, durably."""
    if path == root or path.is_dir():
        return
    make(path.parent, root)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def write_file(root: Path, path: Path, dataset: str, write: Write, made: list[Path]) -> File:
    """Writes one file aside and renames it; `made` names it whatever happens.

    Raises:
        OSError: the disk says no.
    """
    make(path.parent, root)
    aside = path.with_name(f".{path.name}.tmp")
    made.append(aside)
    with aside.open("wb") as file:
        rows = write(file)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    aside.rename(path)
    made[-1] = path
    return File(dataset, str(path.relative_to(root)), rows, size)


def remove(paths: list[Path]) -> None:
    """Deletes files that are not committed, as far as it goes."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            # It is not committed, so the next owner of the partition deletes it.
            log.warning("partial file left behind", path=str(path), why=error.strerror)


class HourSink(ABC):
    """Stores records as files. `write` returns when they would survive a power cut."""

    name: str
    topics: tuple[str, ...]

    def __init__(
        self, settings: KafkaSettings, root: Path, kind: str, keep: Keep, recall: Recall | None = None
    ) -> None:
        """`kind`: the format, which is also the ending of its files. `keep`: what retention leaves.

        `recall`: leaves out second copies of records; None: they are stored, too.
        """
        self._settings, self._root, self._kind, self._recall = settings, root, kind, recall
        self._retention = Retention(root, keep)
        self._owned: dict[Partition, Manifest] = {}
        self._ids: dict[str, tuple[str, float]] = {}
        # Kept over a Retry: the partition a record was refused in may be committed by then, and is not looked at again.
        self._refused: dict[tuple[Partition, int], str] = {}

    @abstractmethod
    def datasets_of(self, topic: str) -> Iterable[str]:
        """Names of the datasets that the records of a topic (its name on Kafka) go to."""

    @abstractmethod
    def contents(self, items: list[Item]) -> tuple[Contents, dict[int, str]]:
        """The files of some records of one partition, and why of which offsets there is nothing to write."""

    def assigned(self, partition: Partition, span: Span) -> int | None:
        """Locks the partition, deletes what was not committed, and says where reading resumes; None: anywhere.

        Raises:
            Retry: another process has it, or the disk says no.
        """
        topic, number = partition
        manifest = Manifest(self._root, topic, self._topic_id(topic), number)
        try:
            self._clean(manifest, topic)
            if manifest.last >= span[1]:
                why = "the broker has lost records; they are stored here, and new ones get their numbers"
                log.error("topic ends before what is stored", topic=topic, partition=number, end=span[1], why=why)
                manifest.restart(span[1], self._kind)
        except OSError as error:
            manifest.close()
            raise Retry(f"cannot write under {self._root}: {error.strerror}") from error
        self._owned[partition] = manifest
        return None if manifest.empty else manifest.last + 1

    def released(self, partition: Partition) -> None:
        """Lets the next owner in."""
        if (manifest := self._owned.pop(partition, None)) is not None:
            if self._recall is not None:
                self._recall.release(partition)
            manifest.close()

    def close(self) -> None:
        """Lets every partition go."""
        for partition in list(self._owned):
            self.released(partition)

    def write(self, batch: Batch) -> None:
        """Stores a batch, partition by partition; what a manifest covers already is skipped.

        Raises:
            Retry: the disk is full, read-only or gone, or Kafka does not answer.
            Reject: some records make no rows; the others are stored.
        """
        owned = {partition: self._owned[partition] for partition in batch.spans}
        due = {
            partition: (max(first, owned[partition].last + 1), end)
            for partition, (first, end) in batch.spans.items()
            if end - 1 > owned[partition].last
        }
        if self._recall is not None:
            self._recall.begin({each: (first, owned[each].path) for each, (first, _) in due.items()})
        for partition, (first, end) in due.items():
            fresh = [item for item in batch.items if item.partition == partition and item.offset >= first]
            if self._recall is not None:
                fresh = self._recall.fresh(partition, fresh)
            contents, refused = self.contents(fresh)
            self._refused |= {(partition, offset): why for offset, why in refused.items()}
            self._store(owned[partition], first, end - 1, contents)
            if self._recall is not None:
                self._recall.stored(partition, [item for item in fresh if item.offset in refused], end)
        self._retention.look()
        refused_now, self._refused = self._refused, {}
        where = {(item.partition, item.offset): index for index, item in enumerate(batch.items)}
        if reasons := {where[key]: why for key, why in refused_now.items() if key in where}:
            raise Reject(reasons)

    def _store(self, manifest: Manifest, first: int, last: int, contents: Contents) -> None:
        made: list[Path] = []
        name = manifest.file_name(first, last, self._kind)
        try:
            manifest.check()
            files = [
                write_file(self._root, self._root / dataset / hour / name, dataset, write, made)
                for (dataset, hour), write in contents.items()
            ]
            for each in {path.parent for path in made}:
                sync(each)
            manifest.check()
            manifest.commit(first, last, self._kind, tuple(files))
        except (OSError, Retry) as error:
            remove(made)
            if isinstance(error, Retry):
                raise
            raise Retry(f"cannot write under {self._root}: {error.strerror or error}") from error

    def _topic_id(self, topic: str) -> str:
        known, at = self._ids.get(topic, ("", 0.0))
        if not known or time.monotonic() - at > TOPIC_ID_S:
            known = topics.topic_id(self._settings, topic)
            self._ids[topic] = (known, time.monotonic())
        return known

    def _clean(self, manifest: Manifest, topic: str) -> None:
        """Deletes the partition's files that no entry lists: of a crash between file and manifest."""
        found = set(self._candidates(manifest, topic))
        left = found - manifest.committed(found)
        if left:
            log.info("uncommitted files deleted", topic=topic, files=len(left), first=min(left))
        for path in left:
            (self._root / path).unlink(missing_ok=True)

    def _candidates(self, manifest: Manifest, topic: str) -> Iterator[str]:
        ours = re.compile(rf"\.?{re.escape(manifest.prefix)}-\d+-\d+(-r\d+)?\.(parquet|jsonl|avro)(\.tmp)?")
        for dataset in self.datasets_of(topic):
            for hour in (self._root / dataset).glob("date=*/hour=*"):
                # A folder changes when a file comes into it: older ones hold nothing that is not committed.
                if manifest.empty or hour.stat().st_mtime >= manifest.changed_at - CLOCK_SLACK_S:
                    yield from (
                        str(path.relative_to(self._root)) for path in hour.iterdir() if ours.fullmatch(path.name)
                    )
