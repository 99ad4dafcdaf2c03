"""CONTRIBUTING's recipes, followed as they stand in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
QUICK = ((".venv/bin/ruff", "check", "--no-cache", "."), ("scripts/generate", "--check"))
"""The parts of `make check` that take no minute."""


def blocks(recipe, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", recipe, re.MULTILINE | re.DOTALL)


def follow(recipe, directory):
    """Applies the patches, runs the commands; what fails, with its output."""
    for patch in blocks(recipe, "diff"):
        applied = subprocess.run(["git", "apply", "-"], cwd=directory, input=patch, text=True, capture_output=True)
        if applied.returncode:
            return f"a patch: {applied.stderr}"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    for command in [*(line.split() for block in blocks(recipe, "sh") for line in block.splitlines()), *QUICK]:
        ran = subprocess.run(command, cwd=directory, env=environment, text=True, capture_output=True)
        if ran.returncode:
            return f"{' '.join(command)}: {ran.stdout[-3000:]}{ran.stderr[-1000:]}"
    return ""


@pytest.fixture
def copy(tmp_path):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        text=True,
        capture_output=True,
    ).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


def test_there_is_a_recipe_for_a_field_a_topic_a_sink_and_a_source():
    assert ["A Redfish field", "A topic, and the processor that writes it", "A sink", "A source"] == list(RECIPES)


def test_a_sink_is_a_folder_and_a_line():
    changed = set(re.findall(r"^\+\+\+ b/(\S+)", RECIPES["A sink"], re.MULTILINE))
    registry = RECIPES["A sink"].partition("+++ b/sinks/registry.py\n")[2].partition("\ndiff --git")[0]

    assert {"sinks/syslog/__init__.py", "sinks/syslog/sink.py", "sinks/registry.py"} == {
        path for path in changed if not path.startswith("tests/")
    }
    assert ['+    "sinks.syslog:SPEC",'] == [line for line in registry.splitlines() if line.startswith(("+", "-"))]


def test_a_source_is_a_folder_and_a_line_beside_its_contract():
    changed = set(re.findall(r"^\+\+\+ b/(\S+)", RECIPES["A source"], re.MULTILINE))

    assert {"producers/pressure/__init__.py", "producers/pressure/reader.py", "producers/registry.py"} == {
        path for path in changed if not path.startswith(("schemas/", "tests/"))
    }


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_works_as_it_stands(name, copy):
    assert "" == follow(RECIPES[name], copy)


def test_a_recipe_that_forgets_the_default_of_a_field_fails(copy):
    forgetful = RECIPES["A Redfish field"].replace(
        '"lower_threshold_fatal", "type": ["null", "double"], "default": null,',
        '"lower_threshold_fatal", "type": ["null", "double"],',
    )

    assert "schemas: RedfishSample: new code cannot read old records" in follow(forgetful, copy)
