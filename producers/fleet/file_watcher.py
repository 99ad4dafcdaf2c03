"""Watcher of a file that people edit while it is in use.

Polled by its owner; no thread of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


class FileWatcher:
    """Detects new text in a file.

    Text counts after two equal polls, since an editor may still be writing.
    """

    def __init__(self, path: Path, text: str) -> None:
        """Starts watching; `text` is the text in use."""
        self._path = path
        self._digest_in_use = _digest(text)
        self._stat: tuple[int, int, int] | None = None
        self._text = text
        self._pending_digest: bytes | None = None

    def poll(self, *, immediate: bool = False) -> str | None:
        """Returns new text once; None if there is none, or it may still be incomplete.

        `immediate` returns it even if it may be incomplete.
        A missing or unreadable file is not new text: the text in use stays.
        """
        try:
            status = self._path.stat()
            stat = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stat != self._stat or immediate:
                self._text = self._path.read_text()
        except (OSError, UnicodeDecodeError):
            self._stat = None
            return None
        digest = _digest(self._text)
        is_stable = immediate or (stat == self._stat and digest == self._pending_digest)
        self._stat, self._pending_digest = stat, digest
        if digest == self._digest_in_use or not is_stable:
            return None
        self._digest_in_use = digest
        return self._text


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
