"""Programs that tests start as text (`python -c`): what they import exists, so that no rename leaves them behind."""

import ast
import importlib
import textwrap
from pathlib import Path

from tests.unit.support.folding import over

ROOT = Path(__file__).parents[3]
PACKAGES = ("schemas", "runtime", "producers", "processors", "sinks", "rackstream")


def programs(path):
    """The strings of a file that are Python with an import of ours; the filled-in parts of an f-string become names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "filled" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if "import " in text and any(package in text for package in PACKAGES):
            try:
                yield ast.parse(textwrap.dedent(text))
            except SyntaxError:  # prose, or a part of a program
                continue


def is_there(dotted):
    """True if a module, or something in one, exists."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        return all((thing := getattr(thing, name, None)) is not None for name in parts[length:])
    return False


def imported(program):
    """Name in a program → what of ours it is."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(program)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES
        for alias in node.names
    }


def dotted_name(node, names):
    """What a name, or an attribute of one, is; None if it is not of ours."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := dotted_name(node.value, names)) is not None:
        return f"{owner}.{node.attr}"
    return None


def missing(program):
    """Names of ours that a program imports, or takes of what it imports, and that do not exist."""
    names = imported(program)
    used = {name for node in ast.walk(program) if (name := dotted_name(node, names)) is not None}
    return sorted(name for name in used | set(names.values()) if not is_there(name))


def patched(program):
    """Names of ours that a test patches, by `setattr(owner, "name", …)` or `setattr("owner.name", …)`."""
    names = imported(program)
    for node in ast.walk(program):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            owner, name = node.args[0], node.args[1]
            if isinstance(owner, ast.Constant) and str(owner.value).split(".")[0] in PACKAGES:
                yield owner.value
            elif isinstance(name, ast.Constant) and (dotted := dotted_name(owner, names)) is not None:
                yield f"{dotted}.{name.value}"


FILES = [*sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]


@over(FILES, lambda path: path.relative_to(ROOT).as_posix())
def test_a_program_in_a_string_uses_what_there_is(path):
    assert [] == [name for program in programs(path) for name in missing(program)]


@over(FILES, lambda path: path.relative_to(ROOT).as_posix())
def test_a_name_that_a_test_patches_exists(path):
    assert [] == [name for name in patched(ast.parse(path.read_text())) if not is_there(name)]
