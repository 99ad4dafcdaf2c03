"""The producer's memory on disk: its epochs, and the last sequence numbered of each host and category.

It survives kill -9, so that the next start can name what the killed one numbered and may not have handed over. It is
not synced: after a power cut, and while the disk is full, a few numbers may be older than the truth, which shows as
records beyond the named end.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from pathlib import Path
from typing import Final

import structlog

from runtime.errors import Misconfigured

log = structlog.get_logger()
SCHEMA: Final = """
create table if not exists epochs (epoch text primary key);
create table if not exists sequences (
  host text, category text, epoch text, sequence integer, primary key (host, category)
) without rowid;
"""


def new_epoch(last: str | None, now_ms: int) -> str:
    """An id for this start that sorts after `last`, even where the clock was set back: hex ms and 8 random digits."""
    floor_ms = int(last.partition("-")[0], 16) + 1 if last else 0
    return f"{max(now_ms, floor_ms):012x}-{secrets.token_hex(4)}"


class Journal:
    """One producer's journal. Each call is one statement, for any thread."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
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
        self._behind = False
        self.epoch = self.begin()

    def begin(self, after: str = "") -> str:
        """A new epoch, which sorts after all of this journal and after `after`, another producer's."""
        self._newest = new_epoch(max(self._newest or "", after) or None, time.time_ns() // 1_000_000)
        self._write("insert into epochs values (?)", (self._newest,))
        return self._newest

    def last(self, host: str, category: str) -> tuple[str, int] | None:
        """(epoch, sequence) numbered last, in this or an earlier epoch."""
        row = self._db.execute(
            "select epoch, sequence from sequences where host = ? and category = ?", (host, category)
        ).fetchone()
        return (row[0], row[1]) if row else None

    def number(self, host: str, category: str, sequence: int, epoch: str | None = None) -> None:
        """Notes that a sequence is given out; where the disk takes nothing, goes on without.

        `epoch`: that of its target, if not the start's.
        """
        values = (host, category, epoch or self.epoch, sequence)
        self._write("insert or replace into sequences values (?, ?, ?, ?)", values)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _write(self, statement: str, values: tuple[str | int, ...]) -> None:
        try:
            self._db.execute(statement, values)
            self._behind = False
        except sqlite3.Error as error:
            if not self._behind:
                log.error("journal not written: numbers are in memory only", why=str(error))  # noqa: TRY400  says all
            self._behind = True
