"""Facts about one BMC that stay valid while its firmware and parts do, so that polls need not read them again."""

from __future__ import annotations

from dataclasses import dataclass, field

from producers.redfish.documents import JsonObject
from producers.redfish.expand import ExpandSupport


@dataclass(frozen=True, slots=True)
class SkippedResource:
    """A resource that could not be read, and is not requested while a source is selected without it."""

    uri: str
    cause: str
    whole: bool
    """True if it may contain readings, so that the target counts as partial."""


@dataclass(frozen=True, slots=True)
class SelectedSource:
    """The resource that provides one kind of reading of one chassis."""

    source: str
    """Key of `chassis_resources.SOURCES`; empty if no resource has such readings."""
    valid_until_s: float
    """Finite if there were no readings: they may appear when the host is powered on."""
    skipped: tuple[SkippedResource, ...] = ()
    """Resources that could not be read when the source was selected."""


@dataclass(slots=True)
class BmcCache:
    """Cache shared by the categories, which may be polled concurrently; each entry is replaced as a whole."""

    expand: ExpandSupport = field(default_factory=lambda: ExpandSupport({}))
    sources: dict[tuple[str, str], SelectedSource] = field(default_factory=dict)
    """(URI of the chassis, kind of reading) → selected source."""
    static_resources: dict[str, JsonObject] = field(default_factory=dict)
    """URI key → resource that does not change while the BMC runs: subsystems, adapters, thresholds of sensors."""
    irrelevant: set[str] = field(default_factory=set)
    """URI keys of metrics without a property that a table reads, and of collections that only repeat other ones."""
    power_states: dict[str, str] = field(default_factory=dict)
    """URI key of a System → PowerState."""
