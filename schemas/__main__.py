"""`python -m schemas` writes what is generated; `--check` changes nothing and exits 1 if anything is wrong or stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from schemas import catalog, codegen, policy

PUBLISHED = catalog.HERE / "published"


def _generated() -> dict[Path, str]:
    files = {catalog.HERE / "records.py": codegen.records()}
    for name in catalog.names():
        schema = catalog.schema(name)
        path = PUBLISHED / f"{name}.{schema.id:08x}.avsc"
        files[path] = json.dumps(schema.definition, indent=1, ensure_ascii=False) + "\n"
    return files


def _problems() -> list[str]:
    problems = policy.topic_problems(catalog.load())
    for name in catalog.names():
        current = catalog.schema(name)
        problems += policy.schema_problems(current)
        for path in sorted(PUBLISHED.glob(f"{name}.*.avsc")):
            problems += policy.evolution_problems(catalog.read_schema(path), current)
    return problems


def main() -> int:
    """Exit code: 0 all well, 1 a rule is broken or, with --check, a generated file is stale."""
    check = "--check" in sys.argv[1:]
    try:
        problems = _problems()
        files = {} if problems else _generated()
    except ValueError as error:
        problems, files = [str(error)], {}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for problem in problems:
        sys.stderr.write(f"schemas: {problem}\n")
    for path in stale:
        if check:
            sys.stderr.write(f"schemas: {path.name} is stale; run `python -m schemas` and commit it\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path])
            sys.stdout.write(f"wrote {path.name}\n")
    return 1 if problems or (check and stale) else 0


if __name__ == "__main__":
    sys.exit(main())
