"""`python -m rackstream.reference` writes docs/reference/ anew; with `--check` only says what of it is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from producers.redfish import docs
from rackstream.reference import settings, stream, topics
from runtime import codegen

WHERE: Final = Path(__file__).parents[2] / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "redfish.md": docs.text,
    "settings.md": settings.text,
    "stream.svg": stream.svg,
    "topics.md": topics.text,
}


def main(arguments: list[str]) -> int:
    """Exit code: 1 where something is stale and is not to be written."""
    made = {WHERE / name: make() for name, make in PAGES.items()}
    return codegen.write(made, "rackstream.reference", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
