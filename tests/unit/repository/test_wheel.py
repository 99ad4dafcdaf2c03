"""The wheel: what is built from the tree is whole, and the same for the same tree."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("producers", "processors", "sinks", "schemas", "runtime", "rackstream")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def build(directory):
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    [wheel] = Path(directory).glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_same_tree_gives_the_same_bytes(wheel, tmp_path):
    assert wheel.read_bytes() == build(tmp_path).read_bytes()


def test_it_holds_all_that_the_packages_hold_and_nothing_else(wheel):
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, text=True, capture_output=True).stdout
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert set() == set(listed.splitlines()) - held
    assert set(PACKAGES) == {name.partition("/")[0] for name in held}


def test_what_is_unpacked_runs_and_tells_its_version(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    where = "import rackstream; from schemas import catalog; print(rackstream.__file__, len(catalog.load().topics))"
    told = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tmp_path, env=environment, check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip
    version = subprocess.run(
        [sys.executable, "-m", "rackstream", "--version"],
        cwd=tmp_path, env=environment, check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip

    assert told.startswith(str(tmp_path))
    assert f"rackstream, version {VERSION}\n" == version


def test_the_changelog_begins_with_this_version():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]

    assert headings[0] in (f"## {VERSION}", "## Unreleased")
    assert any(line.startswith(f"## {VERSION}") for line in headings)
