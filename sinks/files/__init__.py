"""The files sink and the archive: hourly Parquet, JSONL or Avro files, committed by a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sinks.sink import SinkSpec

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.settings import KafkaSettings
    from sinks.files.archive_sink import ArchiveSink
    from sinks.files.manifest import ReplayRange
    from sinks.files.sink import FilesSink
    from sinks.replay.backfill_files import FileBackfill
    from sinks.replay.compare_files import FileComparison
    from sinks.replay.destination import OnDifference, TopicIds
    from sinks.settings import BatchLimits

__all__ = ["ARCHIVE", "FILES"]


def _dataset_topics() -> tuple[str, ...]:
    from sinks import datasets

    return datasets.aliases()


def _files_root(settings: KafkaSettings) -> Path:
    from sinks.settings import files_root

    return files_root(settings)


def _create_files(settings: KafkaSettings, name: str | None) -> tuple[FilesSink, BatchLimits]:  # noqa: ARG001  has none
    from sinks.files.retention import RetentionLimits
    from sinks.files.sink import FilesSink
    from sinks.settings import FilesSettings

    files = FilesSettings.read()
    retention = RetentionLimits(files.keep_days, files.keep_bytes)
    return FilesSink(settings, _files_root(settings), files.format, retention), files.limits


class _FilesReplay:
    """Stored files as destination of a replay."""

    def backfill(
        self, settings: KafkaSettings, period: ReplayRange, topics: TopicIds, *, started: datetime, write: bool
    ) -> FileBackfill:
        from sinks.replay.backfill_files import FileBackfill
        from sinks.settings import FilesSettings

        file_format = FilesSettings.read().format
        return FileBackfill(_files_root(settings), file_format, period, topics, started=started, write=write)

    def compare(
        self,
        settings: KafkaSettings,
        period: ReplayRange,
        topics: Mapping[str, str],
        *,
        incomplete: set[str],
        on_difference: OnDifference,
    ) -> FileComparison:
        from sinks.replay.compare_files import FileComparison

        return FileComparison(_files_root(settings), period, topics, incomplete, on_difference)


def _archived_topics() -> tuple[str, ...]:
    from sinks.files.archive_sink import archived_topics

    return archived_topics()


def _archive_root(settings: KafkaSettings) -> Path:
    from sinks.settings import archive_root

    return archive_root(settings)


def _create_archive(settings: KafkaSettings, name: str | None) -> tuple[ArchiveSink, BatchLimits]:  # noqa: ARG001
    from sinks.files.archive_sink import ArchiveSink
    from sinks.files.retention import RetentionLimits
    from sinks.settings import ArchiveSettings

    archive = ArchiveSettings.read()
    retention = RetentionLimits(archive.keep_days, archive.keep_bytes)
    return ArchiveSink(settings, _archive_root(settings), retention), archive.limits


def _is_archive_configured() -> bool:
    from sinks.settings import ArchiveSettings

    return ArchiveSettings.read().root is not None


FILES: Final = SinkSpec(
    kind="files",
    help="Store records as hourly Parquet or JSON Lines files.",
    topics=_dataset_topics,
    create=_create_files,
    directory=_files_root,
    is_configured=lambda: True,
    replay=_FilesReplay(),
)
ARCHIVE: Final = SinkSpec(
    kind="archive",
    help="Archive the original bytes of raw records and rule packs in hourly Avro files.",
    topics=_archived_topics,
    create=_create_archive,
    directory=_archive_root,
    is_configured=_is_archive_configured,
)
