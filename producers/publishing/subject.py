"""What a record is about, as far as its header and its key go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from schemas import catalog


class Origin(Protocol):
    """What a record is about: a reader, or an application that reports by itself."""

    @property
    def host(self) -> str:
        """The fleet's name of it."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of it."""
        ...

    @property
    def intervals(self) -> Mapping[str, float]:
        """Category → seconds between two records; 0: they come when they come."""
        ...


ADDRESS: Final = {"raw-redfish": "address", "raw-libvirt": "uri"}
"""Alias of a topic about targets → the field with the target's address. Who reports by himself is no target."""


@dataclass(frozen=True)
class Left:
    """A target that is none any more."""

    host: str
    address: str
    labels: Mapping[str, str]

    @property
    def intervals(self) -> Mapping[str, float]:
        """Its one record has none."""
        return {catalog.REMOVED: 0.0}
