"""Only one module prints: what it prints is cleaned, so a name on a topic cannot control anyone's terminal."""

import ast
import textwrap
from pathlib import Path

import pytest

from tests.unit.support.folding import over

ROOT = Path(__file__).parents[3]
PRINTER = "rackstream/text/sanitize.py"
LOGS = {"runtime/observability.py", "rackstream/cli.py"}
"""Modules that give the logs a stream, behind processors and formatters that clean."""
HARMLESS = {"isatty", "fileno", "flush"}
"""Attributes of a standard stream that print nothing."""
PRINTERS = {"print", "pprint", "rich.print", "Console", "click.echo", "click.secho", "click.echo_via_pager"}
MODULES = [
    path
    for package in ("schemas", "runtime", "producers", "processors", "sinks", "rackstream")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.relative_to(ROOT).as_posix() != PRINTER
]


def place(path):
    return path.relative_to(ROOT).as_posix()


def prints(source, *, is_log=False):
    """The lines of a module that print by themselves."""
    tree = ast.parse(source)
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            callee = ast.unparse(node.func)
            if callee in {
                "print",
                "click.echo",
                "click.secho",
                "click.echo_via_pager",
                "Console",
                "rich.print",
                "pprint",
            }:
                lines.append(node.lineno)
            if (
                isinstance(node.func, ast.Attribute)
                and callee == "os.write"
                and ast.unparse(node.args[0]) in {"1", "2"}
            ):
                lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module == "click":
            lines += [node.lineno for alias in node.names if alias.name in {"echo", "secho"}]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "click.echo":
            lines.append(node.lineno)  # passed on as a function
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"} and not is_log:
            parent = parents.get(node)
            if not (isinstance(parent, ast.Attribute) and parent.attr in HARMLESS):
                lines.append(node.lineno)
    return sorted(set(lines))


@over(MODULES, place)
def test_a_module_prints_through_the_printer_that_cleans(path):
    lines = prints(path.read_text(), is_log=place(path) in LOGS)

    assert [] == lines, f"{place(path)}: print with echo, terminal_console or DataOutput of rackstream.text.sanitize"


@pytest.mark.parametrize(
    "source",
    [
        "print(host)",
        "click.echo(host)",
        "run(on_event=click.echo)",
        "from click import echo",
        "sys.stdout.write(host)",
        "csv.writer(sys.stdout)",
        "os.write(2, host)",
        """
        from rich.console import Console
        Console().print(host)
        """,
    ],
)
def test_the_rule_sees_what_prints_by_itself(source):
    assert prints(textwrap.dedent(source))


def test_the_rule_allows_to_ask_whether_there_is_a_terminal():
    assert [] == prints("sys.stdout.isatty() and os.dup2(pipe, sys.stdout.fileno())")
