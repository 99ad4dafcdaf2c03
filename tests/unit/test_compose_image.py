"""compose/Dockerfile builds from what there is. Offline: no Docker, nothing is built."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (COMPOSE / "Dockerfile").read_text()
LINES = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
STAGES = [line.split() for line in LINES if line.startswith("FROM ")]
COPIES = [line.split()[1:-1] for line in LINES if line.startswith("COPY ") and "--from" not in line]


def test_images_are_built_from_stages_there_are_and_one_pinned_base():
    stages = {words[3] for words in STAGES}
    outside = {words[1] for words in STAGES} - stages

    assert {service["build"]["target"] for service in OURS.values()} <= stages
    assert 1 == len(outside)
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+", outside.pop())


@pytest.mark.parametrize("name", OURS)
def test_an_image_is_tagged_with_our_version_and_runs_as_its_user(name):
    service = OURS[name]
    _, _, stage = DOCKERFILE.partition(f" AS {service['build']['target']}\n")

    assert service["image"].endswith(f":{PYPROJECT['project']['version']}")
    assert service["user"] in re.search(r"^USER (.*)$", stage, re.MULTILINE)[1]
    assert (COMPOSE / service["build"]["context"] / service["build"]["dockerfile"]).samefile(COMPOSE / "Dockerfile")


@pytest.mark.parametrize("source", [each for copied in COPIES for each in copied])
def test_what_is_copied_exists_and_is_sent_to_the_builder(source):
    ignored = (COMPOSE / "Dockerfile.dockerignore").read_text().split()
    sent = [line[1:] for line in ignored if line.startswith("!")]

    assert (ROOT / source).exists()
    assert any(fnmatch(source.rstrip("/"), pattern) for pattern in sent)


def test_all_packages_and_all_requirements_are_copied():
    copied = {each.rstrip("/") for words in COPIES for each in words}
    installed = set(re.findall(r"-r (\S+)", DOCKERFILE))

    assert set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert {"requirements/run.txt", "requirements/build.txt", "requirements/libvirt.txt"} == installed
    assert installed <= copied


def test_packages_are_installed_by_hash_and_from_no_place_of_ours():
    installs = [line for line in LINES if "pip install" in line]

    assert [] == [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line]
    assert [] == re.findall(r"index-url|https?://", DOCKERFILE)
