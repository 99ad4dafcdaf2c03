"""compose/Dockerfile builds from what there is. Offline: no Docker, nothing is built."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import yaml

from tests.unit.support.folding import over

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "compose"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (COMPOSE / "Dockerfile").read_text()
LINES = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
STAGES = [line.split() for line in LINES if line.startswith("FROM ")]
TARGETS = {"producer", "processor", "sink", "console"}
COPIES = [line.split()[1:-1] for line in LINES if line.startswith("COPY ") and "--from" not in line]


def instructions(target):
    """Of a stage and of those that it begins with."""
    found, lines = [], iter(LINES)
    [parent] = [words[1] for words in STAGES if words[3] == target] or [None]
    for line in lines:
        if line.startswith("FROM "):
            inside = line.endswith(f" AS {target}")
        elif inside and line:
            found.append(line)
    return [*(instructions(parent) if parent in {words[3] for words in STAGES} else []), *found]


def test_images_are_built_from_stages_there_are_and_one_pinned_base():
    stages = {words[3] for words in STAGES}
    outside = {words[1] for words in STAGES} - stages

    assert TARGETS == {service["build"]["target"] for service in OURS.values()}
    assert stages >= TARGETS
    assert 1 == len(outside)
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+", outside.pop())


@over(OURS)
def test_an_image_is_tagged_with_our_version_and_runs_as_its_user(name):
    service = OURS[name]
    target = service["build"]["target"]

    assert f"rackstream-{target}:{PYPROJECT['project']['version']}" == service["image"]
    assert f"USER {service['user']}" in instructions(target)
    assert (COMPOSE / service["build"]["context"] / service["build"]["dockerfile"]).samefile(COMPOSE / "Dockerfile")


@over([each for copied in COPIES for each in copied])
def test_what_is_copied_exists_and_is_sent_to_the_builder(source):
    ignored = (COMPOSE / "Dockerfile.dockerignore").read_text().split()
    sent = [line[1:] for line in ignored if line.startswith("!")]

    assert (ROOT / source).exists()
    assert any(fnmatch(source.rstrip("/"), pattern) for pattern in sent)


def test_all_packages_and_all_requirements_are_copied():
    copied = {word.rstrip("/") for words in COPIES for word in words}
    installed = set(re.findall(r"-r (\S+)", DOCKERFILE))

    assert set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    expected = {f"requirements/{each}.txt" for each in (*TARGETS, "build", "libvirt")}
    assert expected == installed
    assert installed <= copied


@over(sorted(TARGETS))
def test_an_image_ends_as_a_user_holds_no_build_tool_and_has_a_health_check(target):
    found = instructions(target)
    [last] = [line for line in found if line.startswith("USER ")]
    health = [line for line in found if line.startswith("HEALTHCHECK ")]
    program = json.loads(health[-1].partition(" CMD ")[2])

    assert last == found[-1] or found[-1] == health[-1], "nothing is written as root after it was given up"
    assert [] == [line for line in found if re.search(r"pip install|gcc|ADD ", line)]
    assert [f"COPY --from=build-{target} /opt/rackstream /opt/rackstream"] == [
        line for line in found if line.startswith("COPY")
    ]
    for service in OURS.values():
        if service["build"]["target"] == target and not service["healthcheck"].get("disable"):
            assert program == service["healthcheck"]["test"][1:]


def test_the_layer_of_packages_comes_before_the_code():
    for target in TARGETS:
        lines = instructions(f"build-{target}")
        code = next(at for at, line in enumerate(lines) if "--from=wheel" in line)
        assert [] == [line for line in lines[code:] if "--require-hashes" in line]


def test_no_secret_is_built_in():
    assert [] == re.findall(r"(?i)password|token|secret", "\n".join(LINES))


def test_packages_are_installed_by_hash_and_from_no_place_of_ours():
    installs = [line for line in LINES if "pip install" in line or "pip wheel" in line]

    assert [] == [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line]
    assert [] == re.findall(r"index-url|https?://(?!127\.0\.0\.1)", DOCKERFILE)
