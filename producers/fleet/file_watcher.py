"""A file that people edit while it is in use: tells when it has new text. No thread of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path


class Watched:
    """One file. New text counts when it was found the same at two looks: an editor may be in the middle of writing."""

    def __init__(self, path: Path, text: str) -> None:
        """`text`: what is in use."""
        self._path = path
        self._used = _digest(text)
        self._stat: tuple[int, int, int] | None = None
        self._text = text
        self._pending: bytes | None = None

    def look(self, *, at_once: bool = False) -> str | None:
        """The new text, once; None where there is none, or (but for `at_once`) where it may not be whole yet.

        A file that is gone is no new text: what is in use goes on.
        """
        try:
            found = self._path.stat()
            stat = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stat != self._stat or at_once:
                self._text = self._path.read_text()
        except (OSError, UnicodeDecodeError):
            self._stat = None
            return None
        digest = _digest(self._text)
        settled = at_once or (stat == self._stat and digest == self._pending)
        self._stat, self._pending = stat, digest
        if digest == self._used or not settled:
            return None
        self._used = digest
        return self._text


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
