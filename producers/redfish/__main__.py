"""`python -m producers.redfish` writes this folder's README.md anew; with `--check` only says whether it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from producers.redfish import readme

FILE: Final = Path(__file__).with_name("README.md")


def main(arguments: list[str]) -> int:
    """Exit code: 1 where the file is stale and is not to be written."""
    fresh = readme.text()
    stale = not FILE.is_file() or FILE.read_text(encoding="utf-8") != fresh
    if not stale:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{FILE} is stale: run `python -m producers.redfish` and commit it\n")
        return 1
    FILE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
