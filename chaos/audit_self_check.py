"""Tests the audit: removes one stored record, doubles one, falsifies one; the audit must report each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from chaos.testbed import Testbed
from chaos.verdict import Verdict
from rackstream.audit.audit import Audit
from sinks.files.manifest import stored_files

TAMPERED_DATASET: Final = "host"
"""A dataset with one row per record."""
ALERT_DATASET: Final = "alert"


def check(testbed: Testbed, log: Callable[[str], None]) -> Verdict:
    """Audits the stored data of the testbed, tampers with it, and audits it again.

    Raises:
        SystemExit: The first audit already finds differences.
    """
    files = testbed.directory / "files"
    testbed.wait_until(
        lambda: _rows(files, ALERT_DATASET) > 0 and _rows(files, TAMPERED_DATASET) >= 5,
        "an alert and five records are stored",
    )
    testbed.drain()
    before = Verdict()
    before.add_audit("before", Audit(testbed.pipeline.settings).run())
    log(f"as stored: {before.as_json()}")
    if not before.passed:
        raise SystemExit("the audit finds differences before any tampering:\n" + "\n".join(before.notes))
    path, table = _file_with_rows(files, TAMPERED_DATASET, 3)
    _write(path, pa.concat_tables([table.slice(1), table.slice(1, 1)]))
    log(f"removed the first row of {path.name}, doubled the second")
    path, table = _file_with_rows(files, ALERT_DATASET, 1)
    at = table.schema.get_field_index("text")
    _write(path, table.set_column(at, table.schema.field(at), pa.array(["falsified", *table["text"].to_pylist()[1:]])))
    log(f"falsified the first row of {path.name}: an alert with another text")
    after = Verdict()
    after.add_audit("after", Audit(testbed.pipeline.settings).run())
    return after


def _rows(files: Path, dataset: str) -> int:
    return sum(parquet.read_metadata(path).num_rows for path in stored_files(files, dataset))


def _file_with_rows(files: Path, dataset: str, rows: int) -> tuple[Path, pa.Table]:
    """Returns a stored file with at least `rows` rows, or else all rows of the dataset, moved into its first file."""
    paths = stored_files(files, dataset)
    tables = [parquet.read_table(path, partitioning=None) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if len(table) >= rows:
            return path, table
    for path in paths[1:]:
        path.unlink()
    return paths[0], pa.concat_tables(tables)


def _write(path: Path, table: pa.Table) -> None:
    parquet.write_table(table, path)
