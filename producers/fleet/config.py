"""Fleet file (`fleet.yaml`): what to poll, how often, with which credentials.

Secrets are references only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError, create_model
from pydantic_core import ErrorDetails

from producers.fleet import validation
from producers.fleet.secret_reference import resolve_secret
from producers.fleet.sharing import find_shared_problems
from producers.fleet.targets import FleetModel, FleetTarget, RedfishTarget, SourceSection
from producers.fleet.validation import FleetError
from producers.registry import SOURCE_SPECS
from runtime.errors import Misconfigured
from schemas.sources import SHAREABLE_SOURCES

IGNORED_PREFIX: Final = "x-"
"""Top-level keys with this prefix are ignored: they hold values that YAML anchors refer to."""
LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C, where PyYAML has it: it reads a thousand targets eight times as fast."""
_SECTIONS: Final[dict[str, Any]] = {name: (spec.section, spec.section()) for name, spec in SOURCE_SPECS.items()}
_FleetFile: Final = create_model("FleetFile", __base__=FleetModel, **_SECTIONS)


@dataclass(frozen=True)
class Fleet:
    """Targets of a fleet file, with the defaults of their sections filled in."""

    sections: Mapping[str, SourceSection] = field(
        default_factory=lambda: {name: spec.section() for name, spec in SOURCE_SPECS.items()}
    )
    """Source → its section."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that have targets."""
        return tuple(sorted(source for source, section in self.sections.items() if section.targets))

    def targets(self, source: str) -> tuple[FleetTarget, ...]:
        """Returns the targets of a source."""
        return self.sections[source].targets

    @property
    def all_targets(self) -> list[FleetTarget]:
        """Targets of all sources."""
        return [target for section in self.sections.values() for target in section.targets]


def load(path: Path) -> Fleet:
    """Loads a fleet file.

    Raises:
        Misconfigured: The file is wrong; names every error with its line.
    """
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """Reads the text of a fleet file.

    Raises:
        Misconfigured: The file cannot be read.
    """
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Misconfigured(f"{path}: {reason}; start from fleet.example.yaml") from error


def parse(text: str, path: Path, *, shared: bool = False) -> Fleet:
    """Parses the text of a fleet file.

    Args:
        text: The text.
        path: Named in errors.
        shared: True if the targets are to be published, which excludes some values (`find_shared_problems`).

    Raises:
        Misconfigured: The text is wrong; names every error with its line.
    """
    try:
        document = yaml.load(text, LOADER) or {}  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path} is not YAML: {error}") from error
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if not str(key).startswith(IGNORED_PREFIX)}
    fleet, problems = validate(document, shared=shared)
    root = yaml.compose(text, LOADER)
    lines = [
        (validation.line_of(root, location), f"{'.'.join(map(str, location))}: {message}")
        for location, message in problems
    ]
    lines += [(number, f"{key}: given twice") for number, key in validation.find_duplicate_keys(root)]
    if lines:
        messages = [f"line {number}: {message}" for number, message in sorted(lines)]
        raise Misconfigured("\n  ".join([f"{path}:", *messages])) from None
    return fleet


def validate(document: object, *, shared: bool = False) -> tuple[Fleet, list[FleetError]]:
    """Returns the fleet of a document and all its errors; with errors, the fleet is empty."""
    problems = list(validation.find_problems(document))
    if shared:
        problems += validation.find_published_passwords(document)
    sections: dict[str, SourceSection] = {}
    try:
        file = _FleetFile.model_validate(document)
        sections = {source: getattr(file, source).with_defaults() for source in SOURCE_SPECS}
        problems += _shared_problems(sections) if shared else []
    except ValidationError as error:
        problems += [(details["loc"], _message(details)) for details in error.errors(include_input=False)]
    return (Fleet(), problems) if problems else (Fleet(sections), problems)


def _shared_problems(sections: Mapping[str, SourceSection]) -> list[FleetError]:
    return [
        ((source, "targets", number, field), message)
        for source in SHAREABLE_SOURCES
        for number, target in enumerate(sections[source].targets)
        for field, message in find_shared_problems(target)
    ]


def _message(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        matches = difflib.get_close_matches(str(error["loc"][-1]), _field_names(error["loc"]), 1)
        return "unknown key" + (f"; did you mean {matches[0]}?" if matches else "")
    if error["type"] == "tuple_type":
        return "a list is expected"
    return error["msg"].removeprefix("Value error, ")


def _field_names(location: tuple[int | str, ...]) -> Iterable[str]:
    """Returns the keys that are allowed where an unknown key was found."""
    if len(location) == 1:
        return SOURCE_SPECS
    spec = SOURCE_SPECS[str(location[0])]
    return (spec.section if len(location) == 2 else spec.target).model_fields


def check_references(targets: Iterable[FleetTarget], path: Path) -> None:
    """Checks that secrets and CA files of targets exist; `path` is named in errors.

    Raises:
        Misconfigured: Some do not; names all of them.
    """
    bmcs = [target for target in targets if isinstance(target, RedfishTarget)]
    problems: dict[str, None] = {}
    for reference in dict.fromkeys(bmc.password for bmc in bmcs if bmc.password):
        try:
            resolve_secret(reference)
        except Misconfigured as error:
            problems[str(error)] = None
    for verify in dict.fromkeys(bmc.verify for bmc in bmcs):
        if isinstance(verify, Path) and not verify.is_file():
            problems[f"verify: {verify} is not a file"] = None
    if problems:
        raise Misconfigured("\n  ".join([f"{path}:", *problems]))
