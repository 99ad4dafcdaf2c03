"""SQL over the stored files: DuckDB with a view per dataset. Reads committed files only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import duckdb

from rackstream.stored import files
from runtime.errors import Misconfigured
from sinks import datasets
from sinks.rows import ColumnType, Dataset

DUCKDB_TYPES: Final[dict[ColumnType, str]] = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}
"""DuckDB's type by column type."""
Value = Any
"""Value of a result, of any type that DuckDB returns."""
EXPLAIN: Final = re.compile(r"\s*explain(\s+analyze)?(\s*\([^)]*\))?\s", re.IGNORECASE)
FETCH_SIZE: Final = 1000
"""Rows fetched at once."""


@dataclass(frozen=True)
class QueryResult:
    """Column names and rows of a statement; rows are fetched as they are iterated."""

    names: tuple[str, ...]
    rows: Iterator[tuple[Value, ...]]


class StoredFiles:
    """Database over the stored files, closed by `with`.

    Args:
        root: Directory of the files sink.
        since: Files of earlier hours are left out; None for all.

    Raises:
        Misconfigured: Nothing is stored there.
    """

    def __init__(self, root: Path, since: datetime | None = None) -> None:
        self._stored = files.committed_files(root, since)
        if not self._stored:
            raise Misconfigured(f"no files are stored in {root}: run the files sink first, or name another --data-dir")
        self._database = duckdb.connect()
        self._restrict(root)

    def _restrict(self, root: Path) -> None:
        """Restricts statements to this directory: no other file, network or extension, and no way back.

        A statement may come from anyone, as text to paste. It cannot write there either: `query` refuses COPY.
        """
        directory = str(root.resolve()).replace("'", "''")
        for statement in (
            "set timezone = 'UTC'",
            # Nothing of the process around it: neither its variables nor its data frames.
            "set python_enable_replacements = false",
            "set autoinstall_known_extensions = false",
            f"set allowed_directories = ['{directory}']",
            "set enable_external_access = false",
            "set lock_configuration = true",
        ):
            self._database.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def query(self, sql: str, parameters: Sequence[object] = ()) -> QueryResult:
        """Runs one statement, with a parameter for each `?` if parameters are given.

        Raises:
            Misconfigured: DuckDB rejects the statement; the message is DuckDB's.
        """
        try:
            self._check_reads_only(sql)
            # Names are looked up in the statement as if it had no parameters: DuckDB refuses to parse it otherwise.
            for dataset in self._referenced_datasets(sql.replace("?", "NULL") if parameters else sql):
                self._database.execute(_create_view(dataset, self._stored.get(dataset.name, [])))
            result = self._database.execute(sql, parameters)
        except duckdb.Error as error:
            raise Misconfigured(_error_text(str(error))) from None
        names = tuple(column[0] for column in result.description or ())
        return QueryResult(names, _fetch_rows(result))

    @staticmethod
    def _check_reads_only(sql: str) -> None:
        """Accepts one statement that reads: the allowed directory would let COPY and ATTACH write to the stored files.

        Raises:
            Misconfigured: It is another, or there are several.
        """
        plan = EXPLAIN.match(sql)
        statements = duckdb.extract_statements(sql[plan.end() :] if plan else sql)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise Misconfigured("one statement that reads is expected: select, describe, show, summarize or explain")

    def _referenced_datasets(self, sql: str) -> list[Dataset]:
        """Returns the datasets a statement uses, or all for `show tables`: a view opens its files."""
        names = {name.lower() for name in self._database.get_table_names(sql)}
        if re.match(r"\s*(show|describe|summarize|from\s+information_schema)\b", sql, re.IGNORECASE):
            names |= {dataset.name for dataset in datasets.ALL if re.search(rf"\b{dataset.name}\b", sql)} or {
                *self._stored
            }
        return [dataset for dataset in datasets.ALL if dataset.name in names]


def _fetch_rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Value, ...]]:
    try:
        while rows := result.fetchmany(FETCH_SIZE):
            yield from rows
    except duckdb.Error as error:  # a value that cannot be cast, a file that was deleted meanwhile
        raise Misconfigured(_error_text(str(error))) from None


def _error_text(message: str) -> str:
    """DuckDB's message; for an unknown table, with the list of tables."""
    if "Table with name" not in message:
        return message
    return f"{message.partition(chr(10))[0]}\ntables: {', '.join(dataset.name for dataset in datasets.ALL)}"


def _create_view(dataset: Dataset, paths: list[Path]) -> str:
    """Statement that creates a dataset's view: all current columns, null where a file lacks one."""
    columns = {
        "time": "TIMESTAMPTZ",
        **{column.name: DUCKDB_TYPES[column.type] for column in dataset.columns},
        "labels": "MAP(VARCHAR, VARCHAR)",
    }
    nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    parts = [f"SELECT {nothing} WHERE false"]
    if parquet := [path for path in paths if path.suffix == ".parquet"]:
        read = f"read_parquet({_path_list(parquet)}, union_by_name = true, hive_partitioning = false)"
        parts.append(f"SELECT * FROM {read}")  # noqa: S608  our own paths
    if lines := [path for path in paths if path.suffix == ".jsonl"]:
        kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        options = f"format = 'newline_delimited', columns = {{{kinds}}}, hive_partitioning = false"
        parts.append(f"SELECT * FROM read_json({_path_list(lines)}, {options})")  # noqa: S608
    return f'CREATE OR REPLACE TEMP VIEW "{dataset.name}" AS {" UNION ALL BY NAME ".join(parts)}'


def _path_list(paths: list[Path]) -> str:
    quoted = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"[{quoted}]"
