"""Where data ends up: directories and their disks, and InfluxDB."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rackstream.doctor.check import Finding, fail, ok, skipped, warn
from rackstream.local.pipeline import INFLUX
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from sinks.settings import InfluxSettings, archive_root, files_root

LOW: Final = (0.05, 2**30)
"""Free share, and bytes, of a disk: with less than both it soon is full."""
FULL: Final = (0.005, 64 * 2**20)
"""With less than both, writes fail, or are about to."""


def directories(settings: KafkaSettings) -> dict[str, Path]:
    """What is stored there → directory."""
    return {
        "files": files_root(settings),
        "archive": archive_root(settings),
        "Kafka": settings.data_dir / "kafka",
        "journals": settings.data_dir / "producers",
        "logs": settings.data_dir / "logs",
    }


def writable(places: dict[str, Path]) -> Finding:
    """Whether what is here may be written to. Nothing is written."""
    here = {what: path for what, path in places.items() if path.is_dir()}
    if not here:
        return skipped("nothing is stored on this machine")
    barred = [f"{path} ({what})" for what, path in here.items() if not os.access(path, os.W_OK | os.X_OK)]
    if barred:
        return fail(
            f"not to be written by {_me()}: {', '.join(barred)}",
            "give the user of Rackstream the right to, or mount it writable; RACKSTREAM_DATA_DIR names another place",
        )
    return ok(f"{', '.join(here)} can be written")


def _me() -> str:
    return "this user" if os.geteuid() else "anybody"


def room(paths: Iterable[Path]) -> Finding:
    """Free space of the disks that these directories, or what is above them, are on."""
    disks: dict[int, Path] = {}
    for path in paths:
        there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
        disks.setdefault(there.stat().st_dev, there)
    findings = [_room(path) for path in disks.values()]
    return max(findings, key=lambda each: ("ok", "warn", "fail").index(each.state))


def _room(path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    share = usage.free / usage.total if usage.total else 0.0
    told = f"{_size(usage.free)} of {_size(usage.total)} free at {path}"
    if share < FULL[0] or usage.free == 0 or (share < LOW[0] and usage.free < FULL[1]):
        return fail(
            f"full: {told}",
            "make room, or set RACKSTREAM_FILES_KEEP_BYTES and RACKSTREAM_ARCHIVE_KEEP_BYTES; what could not be "
            "written waits on Kafka",
        )
    if share < LOW[0] and usage.free < LOW[1] * 10:
        return warn(f"soon full: {told}", "make room, or have less kept: RACKSTREAM_FILES_KEEP_DAYS, …_KEEP_BYTES")
    return ok(told)


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def influx_settings() -> InfluxSettings | None:
    """Where InfluxDB is; None where nothing is said of it.

    Raises:
        Misconfigured: only a part is said.
    """
    try:
        return InfluxSettings.read()
    except Misconfigured:
        if any(os.environ.get(name) for name in INFLUX):
            raise
        return None


def wants_influx() -> bool:
    """Whether anything is said of InfluxDB."""
    try:
        return influx_settings() is not None
    except Misconfigured:
        return True


def influx(timeout_s: float) -> Finding:
    """Whether InfluxDB is reached, the token may write, and the database is there."""
    from sinks.influx.setup import Server

    try:
        settings = influx_settings()
    except Misconfigured as error:
        return fail(str(error), f"set all of {', '.join(INFLUX)}, or none")
    if settings is None:
        return skipped(f"not configured here: {', '.join(INFLUX)}")
    try:
        server = Server(settings.model_copy(update={"timeout_s": min(settings.timeout_s, timeout_s)}))
        places = server.places(create=False)
    except Retry as error:
        return fail(str(error), "start it, or correct INFLUX_URL; the sink keeps what it has not stored on Kafka")
    except Misconfigured as error:
        return fail(*_told(str(error)))
    if missing := [place.name for place in places if not place.there]:
        return fail(f"missing: {', '.join(missing)}", "`rackstream sink influx --set-up` creates it")
    version = f" {server.version}" if server.version else ""
    return ok(f"InfluxDB{version} at {settings.url}, the token may write; {', '.join(map(str, places))}")


def _told(text: str) -> tuple[str, str]:
    """What is wrong and what to do, of a message of the set-up, which has both around its last colon."""
    seen, _, do = text.rpartition(": ")
    return (seen, do) if do.startswith(("check ", "set ")) else (text, "correct INFLUX_URL, INFLUX_DB and INFLUX_TOKEN")
