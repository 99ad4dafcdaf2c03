"""The command that asks the stored files."""

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
@click.option("--csv", "form", flag_value="csv", help="CSV under the names of the columns")
@click.option("--plot", "form", flag_value="plot", help="A chart: first column across, numbers as lines, text splits")
@DATA_DIR
def query(sql: str, form: str | None, data_dir: Path | None) -> None:
    """Ask the stored files in SQL (DuckDB). Each dataset is a table; `show tables` lists them, `describe NAME` one."""
    from rackstream.stored.query import Files
    from rackstream.text import table
    from sinks.settings import files_root

    settings = kafka_settings(data_dir)
    roots = [files_root(settings)]
    if data_dir is None:
        roots.append(settings.model_copy(update={"data_dir": settings.data_dir / "demo"}).data_dir / "files")
    root = next((each for each in roots if each.is_dir()), roots[0])
    if not sql.strip():
        raise Misconfigured('say what to ask, such as "select * from vm_totals limit 5"')
    show = {"json": table.as_json, "csv": table.as_csv, "plot": table.as_chart, None: table.as_table}[form]
    with Files(root) as files:
        answer = files.ask(sql)
        show(answer.names, answer.rows)
