"""Creates directories and files that only their user may read, whatever the umask of the process is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PRIVATE_UMASK: Final = 0o077
"""Umask of all commands: what they create is for their user only."""
GROUP_UMASK: Final = 0o027
"""Umask of a sink whose directory was chosen by setting: its group may read the files, others may not."""


def make_private_directory(path: Path) -> None:
    """Creates a directory and its missing parents with mode 0700. Existing ones keep the mode an operator gave them.

    Raises:
        OSError: It cannot be created.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_private_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Creates an empty file with mode 0600, unless it exists. SQLite gives its journals the mode of the database.

    Raises:
        OSError: It cannot be created.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def set_private_umask() -> None:
    """Makes this process, and those it starts, create files for their user only."""
    os.umask(PRIVATE_UMASK)


def allow_group() -> None:
    """Makes files that this process creates from now on readable by its group."""
    os.umask(GROUP_UMASK)
