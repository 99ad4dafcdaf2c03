"""Records have types: mypy finds a misspelt field of a record in a step, a rule, a sink and the view."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLACES = {
    "a step": ("processors/power.py", '["power_controls"]'),
    "a rule": ("processors/alerting/evaluation.py", '["observed_at"]'),
    "a sink": ("sinks/webhook/delivery_state.py", '["transition"]'),
    "the view": ("rackstream/view/detail.py", '["temperatures"]'),
}
"""A place → a file of it, and how it reads a field of a record."""


def misspelt(field):
    return field.replace('"]', 'x"]')


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """What mypy says of a copy of the packages in which each place misspells one field: file → its lines."""
    copy = tmp_path_factory.mktemp("misspelt")
    for name in ("schemas", "runtime", "producers", "processors", "sinks", "rackstream"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", copy)
    if (ROOT / ".mypy_cache").is_dir():  # what `make check` knows of the other modules need not be found out again
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    for file, field in PLACES.values():
        text = (copy / file).read_text()
        assert field in text, f"{file} does not read {field} any more: choose another field of it"
        (copy / file).write_text(text.replace(field, misspelt(field), 1))
    files = [file for file, _ in PLACES.values()]
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--follow-imports", "silent", *files]
    output = subprocess.run(command, cwd=copy, text=True, capture_output=True).stdout
    return {file: [line for line in output.splitlines() if line.startswith(f"{file}:")] for file in files}


@pytest.mark.parametrize("place", PLACES)
def test_a_misspelt_field_is_an_error_of_types(place, errors):
    file, field = PLACES[place]

    assert [] != [line for line in errors[file] if f"has no key {misspelt(field)[1:-1]}" in line], errors[file]
