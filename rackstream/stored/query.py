"""SQL over the stored files: DuckDB, with a view per dataset. Reads committed files only, and changes none."""

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
from sinks.rows import Dataset, Type

TYPES: Final[dict[Type, str]] = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}
"""Type of a column → DuckDB's."""
BATCH: Final = 1000
"""Rows fetched at once."""


@dataclass(frozen=True)
class Answer:
    """The rows that a statement gives, read as they are asked for."""

    names: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class Files:
    """The stored files as tables. `with` closes the database.

    Args:
        root: where the files sink stores.
        since: rows of hours before this one are left out; None: none are.

    Raises:
        Misconfigured: nothing is stored there.
    """

    def __init__(self, root: Path, since: datetime | None = None) -> None:
        self._stored = files.files(root, since)
        if not self._stored:
            raise Misconfigured(f"no files are stored in {root}: run the files sink first, or name another --data-dir")
        self._database = duckdb.connect()
        self._database.execute("set timezone = 'UTC'")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> Answer:
        """Runs one statement; where there are parameters, each `?` in it is one.

        Raises:
            Misconfigured: it is none that DuckDB understands; the message is DuckDB's.
        """
        try:
            # Names are looked up in the statement as if it had no parameters: DuckDB refuses to parse it otherwise.
            for each in self._meant(sql.replace("?", "NULL") if parameters else sql):
                self._database.execute(_view(each, self._stored.get(each.name, [])))
            result = self._database.execute(sql, parameters)
        except duckdb.Error as error:
            raise Misconfigured(_explained(str(error))) from None
        names = tuple(each[0] for each in result.description or ())
        return Answer(names, _fetched(result))

    def _meant(self, sql: str) -> list[Dataset]:
        """The datasets that a statement names; all where it asks what there is. A view costs a look into its files."""
        named = {name.lower() for name in self._database.get_table_names(sql)}
        if re.match(r"\s*(show|describe|summarize|from\s+information_schema)\b", sql, re.IGNORECASE):
            named |= {each.name for each in datasets.ALL if re.search(rf"\b{each.name}\b", sql)} or {*self._stored}
        return [each for each in datasets.ALL if each.name in named]


def _fetched(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    try:
        while rows := result.fetchmany(BATCH):
            yield from rows
    except duckdb.Error as error:  # a value that cannot be cast, a file that was deleted meanwhile
        raise Misconfigured(_explained(str(error))) from None


def _explained(message: str) -> str:
    """DuckDB's message; for a table that is none, which there are."""
    if "Table with name" not in message:
        return message
    return f"{message.partition(chr(10))[0]}\ntables: {', '.join(each.name for each in datasets.ALL)}"


def _view(dataset: Dataset, paths: list[Path]) -> str:
    """A dataset's files as a table: all columns of today, null where an older file has none."""
    columns = {
        "time": "TIMESTAMPTZ",
        **{column.name: TYPES[column.type] for column in dataset.columns},
        "labels": "MAP(VARCHAR, VARCHAR)",
    }
    nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    parts = [f"SELECT {nothing} WHERE false"]
    if parquet := [path for path in paths if path.suffix == ".parquet"]:
        read = f"read_parquet({_list(parquet)}, union_by_name = true, hive_partitioning = false)"
        parts.append(f"SELECT * FROM {read}")  # noqa: S608  our own paths
    if lines := [path for path in paths if path.suffix == ".jsonl"]:
        kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        options = f"format = 'newline_delimited', columns = {{{kinds}}}, hive_partitioning = false"
        parts.append(f"SELECT * FROM read_json({_list(lines)}, {options})")  # noqa: S608
    return f'CREATE OR REPLACE TEMP VIEW "{dataset.name}" AS {" UNION ALL BY NAME ".join(parts)}'


def _list(paths: list[Path]) -> str:
    quoted = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"[{quoted}]"
