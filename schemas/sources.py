"""The telemetry sources that producers poll: the topics, record categories and capabilities of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class TelemetrySource(NamedTuple):
    """A kind of endpoint that a producer polls."""

    name: str
    """As in `rackstream producer NAME`."""
    raw_topic: str
    """Alias of the topic of its raw records."""
    categories: tuple[str, ...]
    """Categories of its raw records that hold readings."""
    derived_topics: tuple[str, ...]
    """Aliases of the topics derived from its raw records. A topic joined from two sources belongs to the one that
    its records describe."""
    is_shareable: bool
    """True if its targets can be divided among several producers: they are reachable from any machine."""


SOURCES: Final[Mapping[str, TelemetrySource]] = MappingProxyType(
    {
        source.name: source
        for source in (
            TelemetrySource(
                name="redfish",
                raw_topic="raw-redfish",
                categories=("system", "thermal", "power", "processor", "memory", "network", "storage"),
                derived_topics=("power", "state-health"),
                is_shareable=True,
            ),
            TelemetrySource(
                name="libvirt",
                raw_topic="raw-libvirt",
                categories=("domains",),
                derived_topics=("vm-totals", "vm-features", "device-rates", "vm-power"),
                is_shareable=True,
            ),
            TelemetrySource(
                name="host",
                raw_topic="raw-host",
                categories=("host",),
                derived_topics=("host-rates",),
                is_shareable=False,
            ),
        )
    }
)
"""Source name → source."""
SHAREABLE_SOURCES: Final = tuple(source.name for source in SOURCES.values() if source.is_shareable)
"""Names of the sources whose targets producers can divide among them."""
SOURCE_BY_TOPIC: Final[Mapping[str, str]] = MappingProxyType(
    {alias: source.name for source in SOURCES.values() for alias in (source.raw_topic, *source.derived_topics)}
)
"""Alias of a raw or derived topic → name of its source."""


def source_of_category(category: str) -> str:
    """Returns the name of the source whose raw records have a category.

    Categories that no source lists belong to Redfish, whose records are split by kind of resource.
    """
    return next((source.name for source in SOURCES.values() if category in source.categories), "redfish")
