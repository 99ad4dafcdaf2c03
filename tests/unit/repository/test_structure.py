"""The rooms of the house: arrows, sizes, and that each shared module is shared."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("schemas", "runtime", "producers", "processors", "sinks", "rackstream")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")) if path.name != "records.py"]


@cache
def imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def users_of(module):
    """The packages that import a module of runtime, by themselves or through another module of it."""
    paths = [path for path in MODULES if f"runtime.{module}" in imports(path)]
    through = [users_of(path.stem) for path in paths if path.parent == ROOT / "runtime"]
    return {path.relative_to(ROOT).parts[0] for path in paths}.union(*through)


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "runtime").glob("[a-z]*.py")))
def test_a_module_of_runtime_serves_two_edges_or_more(module):
    users = users_of(module)

    assert len(users - {"runtime"}) >= 2, f"runtime.{module} is used by {users or 'nobody'}: it belongs there"


def test_only_the_shell_imports_faust():
    found = [str(path.relative_to(ROOT)) for path in MODULES if "faust" in imports(path)]

    assert ["processors/app.py"] == found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small_and_says_what_it_is(path):
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= 500


PURE = [
    "engine/step",
    "rates",
    "totals",
    "vms",
    "hosts",
    "power",
    "vm_power",
    "engine/join",
    "health_checks",
    "health",
    "alerting/step",
    "engine/partition",
    "presence",
    "alerting/evaluation",
    "alerting/rule",
    "alerting/rule_pack",
    "alerting/templates",
]


@pytest.mark.parametrize("module", PURE)
def test_a_step_knows_neither_kafka_nor_a_clock(module):
    text = (ROOT / "processors" / f"{module}.py").read_text()

    assert not re.search(r"confluent_kafka|runtime\.kafka|structlog|datetime\.now|time\.(time|monotonic)\(", text)
