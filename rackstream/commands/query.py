"""The command that queries the stored files."""

from __future__ import annotations

from pathlib import Path

import click

from rackstream.commands.common import DATA_DIR, kafka_settings
from runtime.errors import Misconfigured

EXAMPLES = """\b
rackstream query "select time, net_rxbytes from vm_totals where name = 'one-0' order by time desc limit 5"
rackstream query --plot "select time, host, reading_celsius from redfish_temperature
                         where sensor_name = 'CPU1 Temp' and time > now() - interval '10 minutes'"
"""


@click.command(epilog=EXAMPLES)
@click.argument("sql")
@click.option("--json", "form", flag_value="json", help="One JSON array, an object per row")
@click.option("--csv", "form", flag_value="csv", help="CSV with a header")
@click.option(
    "--plot", "form", flag_value="plot", help="A chart: first column as x axis, numbers as lines, split by text"
)
@DATA_DIR
def query(sql: str, form: str | None, data_dir: Path | None) -> None:
    """Query stored files with SQL.

    The SQL is DuckDB's. Each dataset is a table; `show tables` lists them, `describe NAME` shows one.
    """
    from rackstream.stored.query import StoredFiles
    from rackstream.text import table
    from sinks.settings import files_root

    settings = kafka_settings(data_dir)
    roots = [files_root(settings)]
    if data_dir is None:
        roots.append(settings.model_copy(update={"data_dir": settings.data_dir / "demo"}).data_dir / "files")
    root = next((directory for directory in roots if directory.is_dir()), roots[0])
    if not sql.strip():
        raise Misconfigured('no SQL given, such as "select * from vm_totals limit 5"')
    show = {"json": table.print_json, "csv": table.print_csv, "plot": table.print_chart, None: table.print_table}[form]
    with StoredFiles(root) as files:
        result = files.query(sql)
        show(result.names, result.rows)
