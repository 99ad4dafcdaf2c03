"""`fleet.yaml`: what to poll, how often, with which credentials. Validated whole; secrets are references only."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.errors import Misconfigured

Source = Literal["redfish", "libvirt", "host"]
Category = Literal["system", "thermal", "power", "processor", "memory", "network", "storage"]
Seconds = Annotated[float, Field(gt=0, le=86400)]


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
            raise Misconfigured(f"the environment variable {where}, named in fleet.yaml, is not set")
        return os.environ[where]
    try:
        return Path(where).read_text().strip()
    except OSError as error:
        raise Misconfigured(
            f"the secret file {where}, named in fleet.yaml, cannot be read: {error.strerror}"
        ) from error


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


class HostTarget(Target):
    """This machine, read by psutil."""


class LibvirtTarget(Target):
    """One libvirt connection."""

    host: str = Field(min_length=1)
    uri: str
    """libvirt URI, such as qemu:///system or test:///default."""


class RedfishTarget(Target):
    """One BMC."""

    host: str = Field(min_length=1)
    address: Annotated[str, Field(pattern=r"^https?://[^/@]+/?$")]
    """https://host[:port]."""
    username: str | None = None
    """User; none: no authentication."""
    password: Annotated[str, AfterValidator(_reference)] | None = None
    """env:NAME or file:PATH."""
    verify: bool | Path = True
    """Check the certificate: true, false, or a file of CA certificates."""
    proxy: str | None = None
    """HTTP proxy for this target."""
    intervals: dict[Category, Seconds] = {}
    """Seconds between two polls, by category; default: `interval`, memory 30 times, storage 12 times, processor and
    network 6 times as long."""

    @model_validator(mode="after")
    def _credentials_whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username and urlsplit(self.address).scheme == "http" and not _loopback(self.address):
            raise ValueError("a password over plain http is sent in the clear; use https")
        return self


def _loopback(address: str) -> bool:
    name = urlsplit(address).hostname or ""
    return name == "localhost" or name.startswith("127.") or name == "::1"


class HostSource(Model):
    """Section `host`."""

    interval: Seconds = 1.0
    targets: tuple[HostTarget, ...] = ()


class LibvirtSource(Model):
    """Section `libvirt`."""

    interval: Seconds = 1.0
    targets: tuple[LibvirtTarget, ...] = ()


class RedfishSource(Model):
    """Section `redfish`."""

    interval: Seconds = 10.0
    targets: tuple[RedfishTarget, ...] = ()


class Fleet(Model):
    """The whole file."""

    host: HostSource = HostSource()
    libvirt: LibvirtSource = LibvirtSource()
    redfish: RedfishSource = RedfishSource()

    @model_validator(mode="after")
    def _hosts_once(self) -> Self:
        for name in ("host", "libvirt", "redfish"):
            hosts = [target.host for target in getattr(self, name).targets]
            twice = sorted({host for host in hosts if hosts.count(host) > 1})
            if twice:
                raise ValueError(f"{name}: hosts named twice: {', '.join(twice)}")
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that have targets."""
        named: tuple[Source, ...] = ("host", "libvirt", "redfish")
        return tuple(name for name in named if getattr(self, name).targets)


def load(path: Path) -> Fleet:
    """The fleet in a file.

    Raises:
        Misconfigured: names every error with its line.
    """
    try:
        text = path.read_text()
        document = yaml.safe_load(text) or {}
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}; start from fleet.example.yaml") from error
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path} is not YAML: {error}") from error
    try:
        return Fleet.model_validate(document)
    except ValidationError as error:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        problems = [
            f"line {_line(root, each['loc'])}: {'.'.join(str(part) for part in each['loc'])}: "
            + each["msg"].removeprefix("Value error, ")
            for each in error.errors(include_input=False)
        ]
        raise Misconfigured("\n  ".join([f"{path}:", *problems])) from None


def _line(node: Any, location: tuple[Any, ...]) -> int:
    """The line of the innermost node on the way to `location`."""
    for part in location:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
    return node.start_mark.line + 1 if node is not None else 1
