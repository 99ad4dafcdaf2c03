"""The lock files keep what pyproject.toml promises. Offline: reads files, installs nothing."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

from packaging.requirements import Requirement

from tests.unit.support.folding import over

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
GROUPS = PYPROJECT["dependency-groups"]
EDGES = [f"extra {name}" for name in EXTRAS if name != "libvirt"]
IMAGES = {
    "producer": ["redfish", "host"],
    "processor": ["processors"],
    "sink": ["influx", "files"],
    "console": ["console", "files"],
}
"""Lock file of an image of compose/Dockerfile → the extras in it."""
FILES = ["run", "dev", "libvirt", "build", *IMAGES]


def text(file):
    return (ROOT / "requirements" / f"{file}.txt").read_text()


def pins(file):
    """Each pin of a file with its hashes."""
    logical = re.sub(r"#.*", "", text(file)).replace("\\\n", " ")
    lines = [line.split() for line in logical.splitlines() if line.strip()]
    return {
        Requirement(" ".join(word for word in line if not word.startswith("--"))): [
            word for word in line if word.startswith("--")
        ]
        for line in lines
    }


def versions(file):
    """Package → its pinned versions: more than one where platforms differ."""
    found = defaultdict(set)
    for pin in pins(file):
        [exact] = pin.specifier
        assert "==" == exact.operator
        found[canonical(pin.name)].add(exact.version)
    return dict(found)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(where):
    """The requirements of one place in pyproject.toml, included groups resolved."""
    kind, _, name = where.partition(" ")
    match kind:
        case "project":
            entries = PYPROJECT["project"]["dependencies"]
        case "build":
            entries = PYPROJECT["build-system"]["requires"]
        case "extra":
            entries = EXTRAS[name]
        case "group":
            entries = GROUPS[name]
    for entry in entries:
        yield from declared(f"group {entry['include-group']}") if isinstance(entry, dict) else [Requirement(entry)]


@over(
    [
        *[("run", where) for where in ["project", *EDGES]],
        *[("dev", where) for where in ["project", *EDGES, *[f"group {name}" for name in GROUPS]]],
        *[(image, where) for image, names in IMAGES.items() for where in ["project", *(f"extra {n}" for n in names)]],
        ("libvirt", "extra libvirt"),
        ("build", "build"),
    ],
)
def test_each_dependency_is_pinned_to_a_version_it_allows(file, where):
    pinned = versions(file)
    unsatisfied = [
        str(requirement)
        for requirement in declared(where)
        if not (found := pinned.get(canonical(requirement.name))) or not all(map(requirement.specifier.contains, found))
    ]
    assert [] == unsatisfied, f"run `make lock` for requirements/{file}.txt"


@over(FILES)
def test_every_pin_has_hashes_and_nothing_else(file):
    assert [] == [
        str(pin)
        for pin, options in pins(file).items()
        if not options or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", option) for option in options)
    ]


@over(FILES)
def test_no_index_or_host_is_named(file):
    assert [] == re.findall(r".*://.*|.*@ .*|^-.*", text(file), re.MULTILINE)


@over(["run", "libvirt", "build", *IMAGES])
def test_all_files_fit_into_one_environment(file):
    theirs, everything = versions(file), versions("dev")
    assert {} == {name: v for name, v in theirs.items() if v != everything.get(name, v)}


def test_dev_holds_all_of_run():
    assert set() == versions("run").keys() - versions("dev").keys()


@over(["run", "dev", "build"])
def test_libvirt_python_is_never_a_must(file):
    assert "libvirt-python" not in versions(file)


@over(IMAGES)
def test_an_image_holds_no_more_than_everything_at_run_time(image):
    assert versions(image).items() <= versions("run").items()


def test_an_image_has_only_what_its_edge_needs():
    assert {"faust-streaming": {"processor"}, "pyarrow": {"sink", "console"}, "nicegui": {"console"}} == {
        name: {image for image in IMAGES if name in versions(image)}
        for name in ("faust-streaming", "pyarrow", "nicegui")
    }


def test_libvirt_python_is_alone_in_its_file():
    assert {"libvirt-python"} == versions("libvirt").keys()


def test_both_source_builds_need_pins_alone():
    assert {"editables", "hatchling", "setuptools"} <= versions("build").keys()
