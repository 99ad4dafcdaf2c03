"""Registry of the sources that producers poll, read by commands, ACLs and the fleet file.

A new source is a folder, its entry in `schemas.sources`, and one line here; CONTRIBUTING.md has the recipe.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from producers.fleet.secret_reference import ReadSecret, resolve_secret
from producers.fleet.targets import (
    FleetTarget,
    HostSection,
    HostTarget,
    LibvirtSection,
    LibvirtTarget,
    RedfishSection,
    RedfishTarget,
    SourceSection,
)
from schemas.sources import SOURCES, TelemetrySource

if TYPE_CHECKING:
    from producers.reader import Reader
    from schemas.records import TargetStatus

DEFAULT_INTERVAL_S: Final = 1.0


@dataclass(frozen=True)
class SourceSpec:
    """Everything that producers and commands need to know about one source."""

    source: TelemetrySource
    """Its name, raw topic, record categories and whether its targets can be shared."""
    section: type[SourceSection]
    """Model of its section of the fleet file."""
    target: type[FleetTarget]
    """Model of one target."""
    reader_module: str
    """Module with `create_reader(target, interval_s)`. Imported for the first target, so that other sources'
    dependencies need not be installed."""
    logs_in: bool = False
    """True if its readers log in to their targets: `create_reader` takes `read_secret`, which reads a password, and
    `stale_session`, the URI of a session that an earlier producer may have left open."""

    @property
    def name(self) -> str:
        """Name of the source, as in `rackstream producer NAME`."""
        return self.source.name

    @property
    def role(self) -> str:
        """Kafka role of its producers, as `rackstream acls --role` takes it."""
        return f"producer-{self.name}"

    @property
    def consumer_group(self) -> str:
        """Consumer group of the producers that share its targets."""
        return f"rackstream-producers-{self.name}"

    def create_reader(
        self, target: FleetTarget, last_status: TargetStatus | None = None, read_secret: ReadSecret = resolve_secret
    ) -> Reader:
        """Creates the reader of a target.

        Args:
            target: The target.
            last_status: The latest status of the target by any producer; a session named there is closed.
            read_secret: Reads the password of the target.

        Raises:
            Misconfigured: A package that the source needs is not installed, or a secret of the target is missing.
        """
        options: dict[str, object] = {}
        if self.logs_in:
            options["read_secret"] = read_secret
            options["stale_session"] = last_status["session_uri"] if last_status is not None else None
        create = importlib.import_module(self.reader_module).create_reader
        return cast("Reader", create(target, target.interval or DEFAULT_INTERVAL_S, **options))


SOURCE_SPECS: Final[Mapping[str, SourceSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            SourceSpec(SOURCES["host"], HostSection, HostTarget, "producers.host.reader"),
            SourceSpec(SOURCES["libvirt"], LibvirtSection, LibvirtTarget, "producers.libvirt"),
            SourceSpec(SOURCES["redfish"], RedfishSection, RedfishTarget, "producers.redfish", logs_in=True),
        )
    }
)
"""Source name → its spec."""
