"""The rights of each role as the table of `docs/security.md`; `python -m rackstream.access.docs` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from rackstream.access import roles
from runtime import codegen
from schemas import catalog
from schemas.codegen import between_markers

FILE: Final = Path(__file__).parents[2] / "docs" / "security.md"


def table() -> str:
    """In Markdown."""
    lines = ["| role | what it is | rights |", "|---|---|---|"]
    for role, uses in roles.ROLES.items():
        found: dict[str, list[str]] = {}
        for each in sorted(roles.of(role, catalog.load())):
            kind = "group " if each.kind == "group" else ""
            found.setdefault(each.operation, []).append(f"{kind}`{each.name}{'*' if each.prefixed else ''}`")
        what = "; ".join(f"**{operation}** {', '.join(names)}" for operation, names in sorted(found.items()))
        lines.append(f"| `{role}` | {uses().doc} | {what} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Exit code: 1 where the file is stale and is not to be written."""
    fresh = between_markers(FILE.read_text(encoding="utf-8"), "rights", table())
    return codegen.write({FILE: fresh}, "rackstream.access.docs", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
