"""Files that are made from the code and committed: written anew, or only looked at (`--check`)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def write(made: Mapping[Path, str], module: str, arguments: Sequence[str], there: Iterable[Path] = ()) -> int:
    """Writes what is stale of the files; with `--check` only names it, and the module that writes it.

    Args:
        made: file → what it has to hold.
        module: as `python -m` takes it.
        arguments: of the command line.
        there: files that are there, of which those that are not made any more go.

    Returns:
        The exit code: 1 where something is stale and is not to be written.
    """
    check = "--check" in arguments
    known = {path: path.read_text(encoding="utf-8") if path.is_file() else None for path in made}
    stale = [path for path, text in made.items() if known[path] != text]
    gone = sorted(set(there) - made.keys())
    for path in [*stale, *gone] if check else ():
        sys.stderr.write(f"{path} is stale: run `python -m {module}` and commit it\n")
    if check:
        return int(bool(stale or gone))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
    for path in gone:
        path.unlink()
    return 0
