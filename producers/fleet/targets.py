"""Models of the targets and sections of a fleet file; new sources derive their own."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from producers.fleet.libvirt_uri import check_libvirt_uri
from producers.fleet.network_address import check_bmc_address, check_proxy
from producers.fleet.secret_reference import check_reference

Category = Literal["system", "thermal", "power", "processor", "memory", "network", "storage"]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Host = Annotated[str, Field(min_length=1)]
"""Name of one operating system in the fleet."""


class FleetModel(BaseModel):
    """Base of all models. Unknown keys are errors, since a misspelt key would have no effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FleetTarget(FleetModel):
    """Fields that targets of all sources have."""

    address_field: ClassVar[str] = ""
    """Field with the target's address. Empty: the target is the machine that the producer runs on."""

    host: str = Field(default_factory=socket.gethostname, min_length=1)
    """Name of the operating system in the fleet; default: this machine's host name."""
    labels: dict[str, str] = {}
    """Arbitrary labels, such as rack and site."""
    interval: Seconds | None = None
    """Seconds between two polls; default: the section's."""

    @property
    def location(self) -> str:
        """Address or URI of the target; empty for the producer's own machine."""
        return str(getattr(self, self.address_field)) if self.address_field else ""

    @property
    def hosts(self) -> frozenset[str]:
        """All hosts that records of the target describe."""
        return frozenset({self.host})


class BmcAccess(FleetModel):
    """Login, TLS and proxy of one BMC, or the defaults for a whole section."""

    username: str | None = None
    """User; none: no authentication."""
    password: Annotated[str, AfterValidator(check_reference)] | None = None
    """env:NAME or file:PATH."""
    verify: bool | Path = True
    """Check the certificate: true, false, or a file of CA certificates."""
    proxy: Annotated[str, AfterValidator(check_proxy)] | None = None
    """HTTP proxy."""
    intervals: dict[Category, Seconds] = {}
    """Seconds between two polls, by category; default: `interval`, memory 30 times, storage 12 times, processor and
    network 6 times as long."""


class HostTarget(FleetTarget):
    """The producer's machine, read with psutil."""


class LibvirtTarget(FleetTarget):
    """Target of source libvirt: a connection."""

    address_field = "uri"

    host: str = Field(min_length=1)
    uri: Annotated[str, AfterValidator(check_libvirt_uri)]
    """libvirt URI, such as qemu:///system or test:///default."""


class RedfishTarget(BmcAccess, FleetTarget):
    """Target of source redfish: a BMC."""

    address_field = "address"

    host: Host
    address: Annotated[str, AfterValidator(check_bmc_address)]
    """https://host[:port]."""
    systems: dict[str, Host] = {}
    """Id of a ComputerSystem → its host, for a BMC with several. Readings that belong to none of them are published
    under `host`, which then names the enclosure."""

    @property
    def hosts(self) -> frozenset[str]:
        """The target's host and the hosts of its systems."""
        return frozenset({self.host, *self.systems.values()})


class SourceSection(FleetModel):
    """Fields that sections of all sources have."""

    interval: Seconds = 1.0
    """Seconds between two polls, for targets without an interval of their own."""
    labels: dict[str, str] = {}
    """Labels of all targets; a target's own take precedence."""
    targets: tuple[FleetTarget, ...] = ()

    def with_defaults(self) -> Self:
        """Returns the section with its defaults filled into each target."""
        targets = tuple(target.model_copy(update=self.defaults_for(target)) for target in self.targets)
        return self.model_copy(update={"targets": targets})

    def defaults_for(self, target: FleetTarget) -> dict[str, object]:
        """Returns the fields of a target that the section completes."""
        return {"labels": {**self.labels, **target.labels}, "interval": target.interval or self.interval}


class HostSection(SourceSection):
    """Section `host`."""

    targets: tuple[HostTarget, ...] = ()


class LibvirtSection(SourceSection):
    """Section `libvirt`."""

    targets: tuple[LibvirtTarget, ...] = ()


class RedfishSection(BmcAccess, SourceSection):
    """Section `redfish`."""

    interval: Seconds = 10.0
    targets: tuple[RedfishTarget, ...] = ()

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self

    def defaults_for(self, target: FleetTarget) -> dict[str, object]:
        """Returns labels, intervals, and the access fields that the target does not set itself."""
        assert isinstance(target, RedfishTarget)
        inherited = [
            name for name in ("username", "password", "verify", "proxy") if name not in target.model_fields_set
        ]
        if "username" in target.model_fields_set and "password" in inherited:
            inherited.remove("password")  # it belongs to another user; `username: null` needs none
        return {
            **super().defaults_for(target),
            "intervals": {**self.intervals, **target.intervals},
            **{name: getattr(self, name) for name in inherited},
        }
