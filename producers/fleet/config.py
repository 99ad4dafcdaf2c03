"""`fleet.yaml`: what to poll, how often, with which credentials. Validated whole; secrets are references only."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from producers.fleet import validation
from runtime.errors import Misconfigured

Source = Literal["redfish", "libvirt", "host"]
Category = Literal["system", "thermal", "power", "processor", "memory", "network", "storage"]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Host = Annotated[str, Field(min_length=1)]
"""The fleet's name of one operating system."""
IGNORED: Final = "x-"
"""Top-level keys that begin so hold what others refer to by YAML's anchors."""


def _reference(text: str) -> str:
    if not text.startswith(("env:", "file:")):
        raise ValueError("give secrets by reference: env:NAME or file:PATH, never in this file")
    return text


def secret(reference: str) -> str:
    """The secret behind `env:NAME` or `file:PATH`.

    Raises:
        Misconfigured: there is none.
    """
    kind, _, where = reference.partition(":")
    if kind == "env":
        if where not in os.environ:
            raise Misconfigured(f"the environment variable {where}, which should hold a secret, is not set")
        return os.environ[where]
    try:
        return Path(where).read_text().strip()
    except OSError as error:
        raise Misconfigured(f"the secret file {where} cannot be read: {error.strerror}") from error


LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, where PyYAML has it: it reads a thousand targets eight times as fast."""


class Model(BaseModel):
    """Base: unknown keys are errors, for a misspelt one would be silently without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Model):
    """What all targets have."""

    host: str = Field(default_factory=socket.gethostname, min_length=1)
    """The fleet's name of this operating system; default: this machine's host name."""
    labels: dict[str, str] = {}
    """Free labels, such as rack and site."""
    interval: Seconds | None = None
    """Seconds between two polls; default: the source's."""


class Access(Model):
    """How to talk to BMCs: of one, or of all of a section that do not say otherwise."""

    username: str | None = None
    """User; none: no authentication."""
    password: Annotated[str, AfterValidator(_reference)] | None = None
    """env:NAME or file:PATH."""
    verify: bool | Path = True
    """Check the certificate: true, false, or a file of CA certificates."""
    proxy: str | None = None
    """HTTP proxy."""
    intervals: dict[Category, Seconds] = {}
    """Seconds between two polls, by category; default: `interval`, memory 30 times, storage 12 times, processor and
    network 6 times as long."""


class HostTarget(Target):
    """This machine, read by psutil."""


class LibvirtTarget(Target):
    """One libvirt connection."""

    host: str = Field(min_length=1)
    uri: str
    """libvirt URI, such as qemu:///system or test:///default."""


class RedfishTarget(Access, Target):
    """One BMC."""

    host: Host
    address: Annotated[str, Field(pattern=r"^https?://[^/@]+/?$")]
    """https://host[:port]."""
    systems: dict[str, Host] = {}
    """Id of a ComputerSystem → its host, where one BMC has several. What belongs to none of them is `host`'s, which
    then names the enclosure."""


class Section(Model):
    """What all sources have."""

    interval: Seconds = 1.0
    """Seconds between two polls of targets that do not say otherwise."""
    labels: dict[str, str] = {}
    """Labels of all its targets; a target's own win."""


class HostSource(Section):
    """Section `host`."""

    targets: tuple[HostTarget, ...] = ()


class LibvirtSource(Section):
    """Section `libvirt`."""

    targets: tuple[LibvirtTarget, ...] = ()


class RedfishSource(Access, Section):
    """Section `redfish`."""

    interval: Seconds = 10.0
    targets: tuple[RedfishTarget, ...] = ()

    @model_validator(mode="after")
    def _credentials_whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


AnyTarget = HostTarget | LibvirtTarget | RedfishTarget


class Fleet(Model):
    """The whole file. Targets have what they take from their section."""

    host: HostSource = HostSource()
    libvirt: LibvirtSource = LibvirtSource()
    redfish: RedfishSource = RedfishSource()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that have targets."""
        named: tuple[Source, ...] = ("host", "libvirt", "redfish")
        return tuple(name for name in named if getattr(self, name).targets)

    def completed(self) -> Fleet:
        """The same with each target saying all that holds for it."""
        parts: dict[str, Any] = {}
        for name in ("host", "libvirt", "redfish"):
            section = getattr(self, name)
            parts[name] = section.model_copy(
                update={"targets": tuple(_completed(section, target) for target in section.targets)}
            )
        return Fleet(**parts)


def _completed(section: Any, target: Any) -> Any:
    own = target.model_fields_set
    update: dict[str, Any] = {
        "labels": {**section.labels, **target.labels},
        "interval": target.interval or section.interval,
    }
    if isinstance(target, RedfishTarget):
        update["intervals"] = {**section.intervals, **target.intervals}
        taken = [name for name in ("username", "password", "verify", "proxy") if name not in own]
        if "username" in own and "password" in taken:
            taken.remove("password")  # of a user of its own it would be the wrong one; `username: null` needs none
        update |= {name: getattr(section, name) for name in taken}
    return target.model_copy(update=update)


def load(path: Path) -> Fleet:
    """The fleet in a file.

    Raises:
        Misconfigured: names every error with its line.
    """
    return parse(read(path), path)


def read(path: Path) -> str:
    """The text of a fleet file.

    Raises:
        Misconfigured: there is none.
    """
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Misconfigured(f"{path}: {why}; start from fleet.example.yaml") from error


def parse(text: str, path: Path, *, shared: bool = False) -> Fleet:
    """The fleet in a text; `path` is only named in errors. `shared`: it is to be on Kafka, see `unshareable`.

    Raises:
        Misconfigured: names every error with its line.
    """
    try:
        document = yaml.load(text, LOADER) or {}  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path} is not YAML: {error}") from error
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if not str(key).startswith(IGNORED)}
    fleet, found = judged(document, shared=shared)
    root = yaml.compose(text, LOADER)
    lines = [(validation.line(root, at), f"{'.'.join(map(str, at))}: {what}") for at, what in found]
    lines += [(number, f"{key}: given twice") for number, key in validation.keys_given_twice(root)]
    if lines:
        told = [f"line {number}: {what}" for number, what in sorted(lines)]
        raise Misconfigured("\n  ".join([f"{path}:", *told])) from None
    return fleet


def judged(document: Any, *, shared: bool = False) -> tuple[Fleet, list[tuple[validation.Location, str]]]:
    """The fleet in a document, and all that is wrong with it; if anything is, the fleet is empty."""
    found = list(validation.problems(document))
    if shared:
        found += validation.unshareable(document)
    fleet = Fleet()
    try:
        fleet = Fleet.model_validate(document)
    except ValidationError as error:
        found += [
            (each["loc"], each["msg"].removeprefix("Value error, ")) for each in error.errors(include_input=False)
        ]
    return Fleet() if found else fleet.completed(), found


def check_references(fleet: Fleet, path: Path) -> None:
    """Looks whether what a fleet refers to is there; `path` is only named in errors.

    Raises:
        Misconfigured: names every secret and CA file that is not.
    """
    wrong: dict[str, None] = {}
    for reference in dict.fromkeys(target.password for target in fleet.redfish.targets if target.password):
        try:
            secret(reference)
        except Misconfigured as error:
            wrong[str(error)] = None
    for verify in dict.fromkeys(target.verify for target in fleet.redfish.targets):
        if isinstance(verify, Path) and not verify.is_file():
            wrong[f"verify: {verify} is not a file"] = None
    if wrong:
        raise Misconfigured("\n  ".join([f"{path}:", *wrong]))
