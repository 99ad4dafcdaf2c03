"""ACL table of `docs/security.md`; `python -m rackstream.access.docs` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rackstream.access import roles
from schemas import catalog
from schemas.codegen import replace_between_markers

PAGE: Final = Path(__file__).parents[2] / "docs" / "security.md"


def table() -> str:
    """Returns the table in Markdown."""
    lines = ["| role | used by | ACLs |", "|---|---|---|"]
    for role, access in roles.ROLES.items():
        names_by_operation: dict[str, list[str]] = {}
        for acl in sorted(roles.acls_of(role, catalog.load())):
            kind = "group " if acl.resource_type == "group" else ""
            names_by_operation.setdefault(acl.operation, []).append(f"{kind}`{acl.name}{'*' if acl.prefixed else ''}`")
        acls = "; ".join(
            f"**{operation}** {', '.join(names)}" for operation, names in sorted(names_by_operation.items())
        )
        lines.append(f"| `{role}` | {access().doc} | {acls} |")
    return "\n".join(lines) + "\n"


def generated_files() -> dict[Path, str]:
    """Returns docs/security.md with the current table."""
    return {PAGE: replace_between_markers(PAGE.read_text(encoding="utf-8"), "rights", table())}
