"""`python -m rackstream.reference` writes docs/reference/ anew; with `--check` only says what of it is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from producers.redfish import readme
from rackstream.reference import settings, stream, topics

WHERE: Final = Path(__file__).parents[2] / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "redfish.md": readme.text,
    "settings.md": settings.text,
    "stream.svg": stream.svg,
    "topics.md": topics.text,
}


def main(arguments: list[str]) -> int:
    """Exit code: 1 where something is stale and is not to be written."""
    stale = 0
    for name, make in PAGES.items():
        path, fresh = WHERE / name, make()
        if path.is_file() and path.read_text(encoding="utf-8") == fresh:
            continue
        if "--check" in arguments:
            sys.stderr.write(f"{path} is stale: run `python -m rackstream.reference` and commit it\n")
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fresh, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
