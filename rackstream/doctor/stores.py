"""Checks the places that data is stored in: directories, their disks, and InfluxDB."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rackstream.doctor.check import CheckResult, fail, ok, skipped, warn
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from sinks.registry import SINKS
from sinks.settings import INFLUX_VARIABLES, InfluxSettings

LOW: Final = (0.05, 2**30)
"""Free share and bytes: a disk with less than both is soon full."""
FULL: Final = (0.005, 64 * 2**20)
"""Free share and bytes: on a disk with less than both, writes fail or are about to."""


def directories(settings: KafkaSettings) -> dict[str, Path]:
    """Returns the directories by their contents."""
    return {
        **{kind: spec.directory(settings) for kind, spec in SINKS.items() if spec.directory is not None},
        "Kafka": settings.data_dir / "kafka",
        "journals": settings.data_dir / "producers",
        "logs": settings.data_dir / "logs",
    }


def check_writable(paths: dict[str, Path]) -> CheckResult:
    """Checks that the existing directories are writable, without writing."""
    existing = {contents: path for contents, path in paths.items() if path.is_dir()}
    if not existing:
        return skipped("nothing is stored on this machine")
    readonly = [f"{path} ({contents})" for contents, path in existing.items() if not os.access(path, os.W_OK | os.X_OK)]
    if readonly:
        return fail(
            f"not writable by {_user()}: {', '.join(readonly)}",
            "grant Rackstream's user write access, or mount it writable; RACKSTREAM_DATA_DIR sets another place",
        )
    return ok(f"{', '.join(existing)} writable")


def _user() -> str:
    return "this user" if os.geteuid() else "anybody"


def check_disks(paths: Iterable[Path]) -> CheckResult:
    """Checks the free space of the disks that hold these directories."""
    disks: dict[int, Path] = {}
    for path in paths:
        existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
        disks.setdefault(existing.stat().st_dev, existing)
    results = [_check_disk(path) for path in disks.values()]
    return max(results, key=lambda result: ("ok", "warn", "fail").index(result.state))


def _check_disk(path: Path) -> CheckResult:
    usage = shutil.disk_usage(path)
    share = usage.free / usage.total if usage.total else 0.0
    free = f"{_size(usage.free)} of {_size(usage.total)} free at {path}"
    if share < FULL[0] or usage.free == 0 or (share < LOW[0] and usage.free < FULL[1]):
        return fail(
            f"full: {free}",
            "make room, or set RACKSTREAM_FILES_KEEP_BYTES and RACKSTREAM_ARCHIVE_KEEP_BYTES; records that could not "
            "be written wait in Kafka",
        )
    if share < LOW[0] and usage.free < LOW[1] * 10:
        return warn(f"soon full: {free}", "make room, or keep less: RACKSTREAM_FILES_KEEP_DAYS, …_KEEP_BYTES")
    return ok(free)


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def influx_settings() -> InfluxSettings | None:
    """Reads InfluxDB's settings; None if none of them is set.

    Raises:
        Misconfigured: Only some of them are set.
    """
    try:
        return InfluxSettings.read()
    except Misconfigured:
        if any(os.environ.get(name) for name in INFLUX_VARIABLES):
            raise
        return None


def check_influx(timeout_s: float) -> CheckResult:
    """Checks that InfluxDB is reachable, the token may write, and the database exists."""
    from sinks.influx.setup import InfluxServer

    try:
        settings = influx_settings()
    except Misconfigured as error:
        return fail(str(error), f"set all of {', '.join(INFLUX_VARIABLES)}, or none")
    if settings is None:
        return skipped(f"not configured here: {', '.join(INFLUX_VARIABLES)}")
    try:
        server = InfluxServer(settings.model_copy(update={"timeout_s": min(settings.timeout_s, timeout_s)}))
        databases = server.write_targets(create=False)
    except Retry as error:
        return fail(
            str(error), "start it, or correct INFLUX_URL; records that the sink has not stored yet stay in Kafka"
        )
    except Misconfigured as error:
        return fail(*_observation_and_advice(str(error)))
    if missing := [database.name for database in databases if not database.exists]:
        return fail(f"missing: {', '.join(missing)}", "`rackstream sink influx --set-up` creates it")
    version = f" {server.version}" if server.version else ""
    return ok(f"InfluxDB{version} at {settings.url}, the token may write; {', '.join(map(str, databases))}")


def _observation_and_advice(message: str) -> tuple[str, str]:
    """Divides a message of the InfluxDB set-up at its last colon."""
    observed, _, advice = message.rpartition(": ")
    if advice.startswith(("check ", "set ")):
        return observed, advice
    return message, "correct INFLUX_URL, INFLUX_DB and INFLUX_TOKEN"
