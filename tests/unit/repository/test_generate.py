"""`scripts/generate` writes the generated files and reports those that are out of date."""

import importlib.machinery
import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def generate():
    loader = importlib.machinery.SourceFileLoader("generate", str(ROOT / "scripts" / "generate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    loader.exec_module(module)
    return module


def test_all_generated_files_are_up_to_date():
    done = subprocess.run(["scripts/generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


def test_a_stale_file_is_named_with_the_command_that_writes_it(generate, tmp_path, capsys):
    files = {tmp_path / "docs" / "page.md": "new"}

    assert 1 == generate.check_files(files)
    assert f"{tmp_path}/docs/page.md is out of date: run `scripts/generate`" in capsys.readouterr().err
    assert [0, 0] == [generate.write_files(files), generate.check_files(files)]
    assert "new" == (tmp_path / "docs" / "page.md").read_text()


def test_a_left_over_file_is_named_and_deleted(generate, tmp_path, capsys):
    left_over = tmp_path / "old.json"
    left_over.touch()

    assert 1 == generate.check_files({}, [left_over])
    assert "old.json is out of date" in capsys.readouterr().err
    assert 0 == generate.write_files({}, [left_over])
    assert not left_over.exists()


def test_an_unknown_option_is_refused():
    done = subprocess.run(["scripts/generate", "--chekc"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (1, "usage: scripts/generate [--check]\n") == (done.returncode, done.stderr)
