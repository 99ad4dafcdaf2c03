"""Journal on disk of a producer's epochs and the last sequence of each host and category.

It survives kill -9, so that the next start can name the last record that the killed process numbered and may not have
sent. It is not synced: after a power cut, or while the disk is full, a number may be outdated, and
the topic then has records of `previous_epoch` beyond `previous_sequence`.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from pathlib import Path
from typing import Final

import structlog

from runtime.errors import Misconfigured
from runtime.private_files import make_private_directory, make_private_file

log = structlog.get_logger()
SCHEMA: Final = """
create table if not exists epochs (epoch text primary key);
create table if not exists sequences (
  host text, category text, epoch text, sequence integer, primary key (host, category)
) without rowid;
"""


def next_epoch_id(last: str | None, now_ms: int) -> str:
    """Returns an id that sorts after `last`, even if the clock was set back.

    Format: hex milliseconds and 8 random digits.
    """
    floor_ms = int(last.partition("-")[0], 16) + 1 if last else 0
    return f"{max(now_ms, floor_ms):012x}-{secrets.token_hex(4)}"


class SequenceJournal:
    """Journal of one producer. Each call is one statement; thread-safe."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and starts an epoch.

        Raises:
            Misconfigured: The file cannot be opened.
        """
        try:
            make_private_directory(path.parent)
            make_private_file(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = off")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise Misconfigured(
                f"the producer's journal {path} cannot be opened ({error}); "
                "set RACKSTREAM_DATA_DIR to a writable directory"
            ) from error
        self._newest: str | None = self._db.execute("select max(epoch) from epochs").fetchone()[0]
        self._write_failed = False
        self.epoch = self.start_epoch()

    def start_epoch(self, after: str = "") -> str:
        """Starts an epoch that sorts after all earlier ones and after `after`, of another producer."""
        self._newest = next_epoch_id(max(self._newest or "", after) or None, time.time_ns() // 1_000_000)
        self._write("insert into epochs values (?)", (self._newest,))
        return self._newest

    def last(self, host: str, category: str) -> tuple[str, int] | None:
        """Returns epoch and sequence of the last record, in this or an earlier epoch."""
        row = self._db.execute(
            "select epoch, sequence from sequences where host = ? and category = ?", (host, category)
        ).fetchone()
        return (row[0], row[1]) if row else None

    def record(self, host: str, category: str, sequence: int, epoch: str | None = None) -> None:
        """Records the last sequence of a host and category.

        If the disk does not accept it, this is logged once. `epoch` defaults to that of this start.
        """
        values = (host, category, epoch or self.epoch, sequence)
        self._write("insert or replace into sequences values (?, ?, ?, ?)", values)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _write(self, statement: str, values: tuple[str | int, ...]) -> None:
        try:
            self._db.execute(statement, values)
            self._write_failed = False
        except sqlite3.Error as error:
            if not self._write_failed:
                log.error("journal not written, sequences are in memory only", reason=str(error))  # noqa: TRY400  no stack needed
            self._write_failed = True
