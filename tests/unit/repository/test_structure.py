"""The rooms of the house: arrows, sizes, names that mean one thing, and modules that serve whom they are for."""

import ast
import re
import textwrap
from collections import defaultdict
from functools import cache
from pathlib import Path

from tests.unit.support.folding import over

ROOT = Path(__file__).parents[3]
PACKAGES = ("schemas", "runtime", "producers", "processors", "sinks", "rackstream")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")) if path.name != "records.py"]
FILLER = {"each", "found", "told", "known", "wanted", "said", "given", "made", "heard", "asked", "taken", "meant"}
"""Names that name the grammar of a sentence, not the thing."""
GIVEN = {"TelemetryCollector", "TelemetryConfig"}
"""Class names that the scripting APIs of several sources have in common."""
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DOCUMENTED_PRIVATE = {
    "_make_request", "_get_boot_source", "_get_processor_summary", "_get_memory_summary", "_flatten_dict",
}  # fmt: skip
"""Private methods that docs/python.md gives the Redfish collector."""
OF_LIBRARIES = {"_exit", "_fields", "_replace", "_compositor"}
"""`os._exit`, fields of named tuples, and Textual's rendered screen, which has no public name."""
PURE = [
    "rates",
    "totals",
    "vms",
    "hosts",
    "power",
    "vm_power",
    "health_checks",
    "health",
    "presence",
    *(f"engine/{name}" for name in ("step", "join", "partition")),
    *(f"alerting/{name}" for name in ("step", "evaluation", "rule", "rule_pack", "templates")),
]


def place(path):
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path):
    return ast.parse(path.read_text())


@cache
def imports(path):
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def users_of(module):
    """The packages that import a module of runtime, by themselves or through another module of it."""
    paths = [path for path in MODULES if f"runtime.{module}" in imports(path)]
    through = [users_of(path.stem) for path in paths if path.parent == ROOT / "runtime"]
    return {path.relative_to(ROOT).parts[0] for path in paths}.union(*through)


@over(sorted(path.stem for path in (ROOT / "runtime").glob("[a-z]*.py")))
def test_a_module_of_runtime_serves_two_edges_or_more(module):
    users = users_of(module)

    assert len(users - {"runtime"}) >= 2, f"runtime.{module} is used by {users or 'nobody'}: it belongs there"


def test_only_the_worker_imports_faust():
    assert ["processors/app.py"] == [place(path) for path in MODULES if "faust" in imports(path)]


@over(MODULES, place)
def test_a_module_says_what_it_is_and_is_no_longer_than_its_task(path):
    assert ast.get_docstring(tree(path)), "no docstring"
    assert len(path.read_text().splitlines()) <= 500


def test_no_folder_is_a_flat_list():
    folders = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py":
            folders[place(path.parent)].append(path.name)

    assert {} == {folder: len(names) for folder, names in folders.items() if len(names) > 16}


def test_a_class_name_means_one_thing():
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(place(path))

    assert {} == {name: paths for name, paths in places.items() if len(paths) > 1 and name not in GIVEN}


@over(MODULES, place)
def test_a_variable_names_the_thing(path):
    bound = {
        f"{node.lineno} {name}"
        for node in ast.walk(tree(path))
        if (name := getattr(node, "id" if isinstance(node, ast.Name) else "arg", None)) in FILLER
        and not isinstance(getattr(node, "ctx", None), ast.Load)
        and not isinstance(node, ast.keyword)
    }

    assert set() == bound


def own_names(program):
    """Names that a program binds itself."""
    for node in ast.walk(program):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def is_private(name):
    return re.match(r"_[a-z]", name) is not None and name not in DOCUMENTED_PRIVATE | OF_LIBRARIES


def private_uses(program):
    """(line, name) of private names of others: attributes, imports, names in strings, programs in strings.

    A test's own helpers may have private fields, which they use by `self` or `cls`.
    """
    own = set(own_names(program))
    for node in ast.walk(program):
        names = []
        if isinstance(node, ast.Attribute):
            by_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") and node.attr in own
            names = [] if by_itself else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("setattr", "getattr", "delattr", "hasattr", "attrgetter"):
                texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                names = [part for text in texts if isinstance(text, str) for part in text.split(".")]
        elif isinstance(node, ast.Constant | ast.JoinedStr) and (inner := inline_program(node)) is not None:
            yield from ((node.lineno + line - 1, name) for line, name in private_uses(inner))
        yield from ((node.lineno, name) for name in names if is_private(name))


def inline_program(node):
    """The program that a string is, or None."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "filled" for part in parts)
    if "._" not in text:
        return None
    try:
        return ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return None


@over(TESTS, place)
def test_tests_use_public_names(path):
    assert [] == [f"{line} {name}" for line, name in sorted(set(private_uses(tree(path))))]


@over(PURE)
def test_a_step_depends_on_neither_kafka_nor_a_clock(module):
    text = (ROOT / "processors" / f"{module}.py").read_text()

    assert not re.search(r"confluent_kafka|runtime\.kafka|structlog|datetime\.now|time\.(time|monotonic)\(", text)
