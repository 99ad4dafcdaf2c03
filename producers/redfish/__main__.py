"""`python -m producers.redfish` writes this folder's README.md anew; with `--check` only says whether it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from producers.redfish import docs
from runtime import codegen

FILE: Final = Path(__file__).with_name("README.md")


def main(arguments: list[str]) -> int:
    """Exit code: 1 where the file is stale and is not to be written."""
    return codegen.write({FILE: docs.text()}, "producers.redfish", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
