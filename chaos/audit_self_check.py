"""The audit on trial: of what is stored, one record is removed, one doubled, one falsified. It has to report each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from chaos.testbed import Stage
from chaos.verdict import Verdict
from rackstream.audit.audit import Audit
from sinks.files.manifest import stored

VICTIM: Final = "host"
"""A dataset with one row for each record."""
ALERTS: Final = "alert"


def check(stage: Stage, say: Callable[[str], None]) -> Verdict:
    """Audits what the stage has stored, spoils it, and audits it again.

    Raises:
        SystemExit: it was not clean before.
    """
    files = stage.directory / "files"
    stage.until(lambda: _rows(files, ALERTS) > 0 and _rows(files, VICTIM) >= 5, "an alert and five records are stored")
    stage.drain()
    before = Verdict()
    before.add("before", Audit(stage.pipeline.settings).run())
    say(f"as stored: {before.as_json()}")
    if not before.healthy:
        raise SystemExit("the audit is not clean before anything is spoiled:\n" + "\n".join(before.notes))
    path, table = _whole(files, VICTIM, 3)
    _write(path, pa.concat_tables([table.slice(1), table.slice(1, 1)]))
    say(f"removed the first row of {path.name}, doubled the second")
    path, table = _whole(files, ALERTS, 1)
    at = table.schema.get_field_index("text")
    _write(path, table.set_column(at, table.schema.field(at), pa.array(["invented", *table["text"].to_pylist()[1:]])))
    say(f"falsified the first row of {path.name}: an alert with another text")
    after = Verdict()
    after.add("after", Audit(stage.pipeline.settings).run())
    return after


def _rows(files: Path, dataset: str) -> int:
    return sum(parquet.read_metadata(path).num_rows for path in stored(files, dataset))


def _whole(files: Path, dataset: str, rows: int) -> tuple[Path, pa.Table]:
    """A stored file with at least so many rows, or all of a dataset's rows moved into its first file."""
    paths = stored(files, dataset)
    tables = [parquet.read_table(path, partitioning=None) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if len(table) >= rows:
            return path, table
    for path in paths[1:]:
        path.unlink()
    return paths[0], pa.concat_tables(tables)


def _write(path: Path, table: pa.Table) -> None:
    parquet.write_table(table, path)
