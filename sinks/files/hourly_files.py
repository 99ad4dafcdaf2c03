"""Base of the sinks that write files by day and hour (UTC): one file per hour, commit and partition.

    <root>/<dataset>/date=YYYY-MM-DD/hour=HH/<topic>-<topic id>-<partition>-<first>-<last>.<format>
    <root>/_manifest/<topic>-<topic id>-<partition>.jsonl

Files are written under a temporary name, synced, renamed, and then committed by one line in the partition's manifest. A
crash before that line leaves files that the next owner of the partition deletes; a crash after it loses nothing, as
reading resumes after the last line. So a row is stored exactly once whatever Kafka's committed offset is; and with a
`DedupStore`, also if its record is on the topic at two offsets.
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
from sinks.files.manifest import PartitionManifest, StoredFile
from sinks.files.retention import Retention, RetentionLimits

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from sinks.files.dedup_store import DedupStore
    from sinks.sink import Batch, Item, Partition

log = structlog.get_logger()
CLOCK_TOLERANCE_S: Final = 3600.0
"""The machine's clock may have been set back by this much between a crash and the restart."""
TOPIC_ID_TTL_S: Final = 60.0
"""The id of a topic is cached for this long: the topic may be deleted and created again meanwhile."""
WriteFile = Callable[[IO[bytes]], int]
"""Writes the content of a file; returns the number of rows."""
FileContents = Mapping[tuple[str, str], WriteFile]
"""Files to write, by dataset and hour folder."""


def hour_folder(time: datetime) -> str:
    """Returns the folder of a row with this time, relative to its dataset."""
    return time.astimezone(UTC).strftime("date=%Y-%m-%d/hour=%H")


def fsync_folder(path: Path) -> None:
    """Returns when the names in a folder would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path, root: Path) -> None:
    """Creates a folder under the root, and its parents, durably."""
    if path == root or path.is_dir():
        return
    make_folder(path.parent, root)
    path.mkdir(exist_ok=True)
    fsync_folder(path.parent)


def write_file(root: Path, path: Path, dataset: str, write: WriteFile, created: list[Path]) -> StoredFile:
    """Writes one file under a temporary name and renames it. Appends its path to `created` even if it fails.

    Raises:
        OSError: The disk is full, read-only or gone.
    """
    make_folder(path.parent, root)
    temporary = path.with_name(f".{path.name}.tmp")
    created.append(temporary)
    with temporary.open("wb") as file:
        rows = write(file)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    temporary.rename(path)
    created[-1] = path
    return StoredFile(dataset, str(path.relative_to(root)), rows, size)


def remove_files(paths: list[Path]) -> None:
    """Deletes uncommitted files as far as possible."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            # As it is not committed, the next owner of the partition will delete it.
            log.warning("partial file not deleted", path=str(path), reason=error.strerror)


class HourlyFileSink(ABC):
    """Stores records in hourly files. `write` returns when they would survive a power cut."""

    name: str
    topics: tuple[str, ...]

    def __init__(
        self,
        settings: KafkaSettings,
        root: Path,
        file_format: str,
        retention: RetentionLimits,
        dedup: DedupStore | None = None,
    ) -> None:
        """Creates a sink without partitions.

        Args:
            settings: Where Kafka is.
            root: Directory of the files.
            file_format: Format and extension of new files.
            retention: Limits of what is kept.
            dedup: Leaves out duplicates of records; None stores them too.
        """
        self._settings, self._root, self._format, self._dedup = settings, root, file_format, dedup
        self._retention = Retention(root, retention)
        self.manifests: dict[Partition, PartitionManifest] = {}
        """Owned partition → its manifest."""
        self._topic_ids: dict[str, tuple[str, float]] = {}
        """Topic → id, and when it was looked up."""
        # Kept over a Retry: the partition with a refused record may be committed by then, and is not converted again.
        self._refused: dict[tuple[Partition, int], str] = {}

    @abstractmethod
    def datasets_of(self, topic: str) -> Iterable[str]:
        """Returns the datasets that hold records of a topic, given by its name on Kafka."""

    @abstractmethod
    def file_contents(self, items: list[Item]) -> tuple[FileContents, dict[int, str]]:
        """Returns the files for records of one partition, and the reason by offset for records that are refused."""

    def assign(self, partition: Partition, span: OffsetRange) -> int | None:
        """Locks a partition and deletes its uncommitted files.

        Returns:
            The offset after the last committed one; None if nothing was ever committed.

        Raises:
            Retry: Another process has the lock, or the disk is full, read-only or gone.
        """
        topic, number = partition
        manifest = PartitionManifest(self._root, topic, self._topic_id(topic), number)
        try:
            self._delete_uncommitted(manifest, topic)
            if manifest.last >= span[1]:
                reason = "the broker has lost records that are stored here, and reuses their offsets"
                log.error("topic ends before what is stored", topic=topic, partition=number, end=span[1], reason=reason)
                manifest.restart(span[1], self._format)
        except OSError as error:
            manifest.close()
            raise Retry(f"cannot write under {self._root}: {error.strerror}") from error
        self.manifests[partition] = manifest
        return None if manifest.empty else manifest.last + 1

    def revoke(self, partition: Partition) -> None:
        """Unlocks a partition for its next owner."""
        if (manifest := self.manifests.pop(partition, None)) is not None:
            if self._dedup is not None:
                self._dedup.close(partition)
            manifest.close()

    def close(self) -> None:
        """Unlocks all partitions."""
        for partition in list(self.manifests):
            self.revoke(partition)

    def write(self, batch: Batch) -> None:
        """Stores a batch, partition by partition, without what the manifests cover already.

        Raises:
            Retry: The disk is full, read-only or gone, or Kafka does not answer.
            Reject: Some records cannot be converted; the others are stored.
        """
        manifests = {partition: self.manifests[partition] for partition in batch.spans}
        spans = {
            partition: (max(first, manifests[partition].last + 1), end)
            for partition, (first, end) in batch.spans.items()
            if end - 1 > manifests[partition].last
        }
        if self._dedup is not None:
            self._dedup.open({partition: (first, manifests[partition].path) for partition, (first, _) in spans.items()})
        for partition, (first, end) in spans.items():
            items = [item for item in batch.items if item.partition == partition and item.offset >= first]
            if self._dedup is not None:
                items = self._dedup.new_items(partition, items)
            contents, refused = self.file_contents(items)
            self._refused |= {(partition, offset): reason for offset, reason in refused.items()}
            self._store(manifests[partition], first, end - 1, contents)
            if self._dedup is not None:
                self._dedup.mark_stored(partition, [item for item in items if item.offset in refused], end)
        self._retention.run_periodic()
        refused_now, self._refused = self._refused, {}
        indices = {(item.partition, item.offset): index for index, item in enumerate(batch.items)}
        if reasons := {indices[position]: reason for position, reason in refused_now.items() if position in indices}:
            raise Reject(reasons)

    def _store(self, manifest: PartitionManifest, first: int, last: int, contents: FileContents) -> None:
        created: list[Path] = []
        name = manifest.file_name(first, last, self._format)
        try:
            manifest.verify_root()
            files = [
                write_file(self._root, self._root / dataset / hour / name, dataset, write, created)
                for (dataset, hour), write in contents.items()
            ]
            for folder in {path.parent for path in created}:
                fsync_folder(folder)
            manifest.verify_root()
            manifest.commit(first, last, self._format, tuple(files))
        except (OSError, Retry) as error:
            remove_files(created)
            if isinstance(error, Retry):
                raise
            raise Retry(f"cannot write under {self._root}: {error.strerror or error}") from error

    def _topic_id(self, topic: str) -> str:
        topic_id, looked_up_s = self._topic_ids.get(topic, ("", 0.0))
        if not topic_id or time.monotonic() - looked_up_s > TOPIC_ID_TTL_S:
            topic_id = topics.topic_id(self._settings, topic)
            self._topic_ids[topic] = (topic_id, time.monotonic())
        return topic_id

    def _delete_uncommitted(self, manifest: PartitionManifest, topic: str) -> None:
        """Deletes files of the partition that no entry lists: a crash came between file and manifest."""
        paths = set(self._files_of(manifest, topic))
        uncommitted = paths - manifest.committed(paths)
        if uncommitted:
            log.info("deleting uncommitted files", topic=topic, files=len(uncommitted), first=min(uncommitted))
        for path in uncommitted:
            (self._root / path).unlink(missing_ok=True)

    def _files_of(self, manifest: PartitionManifest, topic: str) -> Iterator[str]:
        """Yields files of the partition in all folders that may hold uncommitted ones."""
        file_name = re.compile(rf"\.?{re.escape(manifest.prefix)}-\d+-\d+(-r\d+)?\.(parquet|jsonl|avro)(\.tmp)?")
        for dataset in self.datasets_of(topic):
            for folder in (self._root / dataset).glob("date=*/hour=*"):
                # A new file changes its folder's time: older folders hold nothing uncommitted.
                if manifest.empty or folder.stat().st_mtime >= manifest.changed_at - CLOCK_TOLERANCE_S:
                    paths = (path for path in folder.iterdir() if file_name.fullmatch(path.name))
                    yield from (str(path.relative_to(self._root)) for path in paths)
