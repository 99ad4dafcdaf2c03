"""Subject of a record: the host, labels and intervals that its header and key need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from producers.registry import SOURCE_SPECS
from schemas import catalog


class Subject(Protocol):
    """Target or application that records describe."""

    @property
    def host(self) -> str:
        """Name in the fleet."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels."""
        ...

    @property
    def intervals(self) -> Mapping[str, float]:
        """Category → seconds between two records; 0 for records without a schedule."""
        ...


ADDRESS_FIELDS: Final = {
    spec.source.raw_topic: spec.target.address_field for spec in SOURCE_SPECS.values() if spec.target.address_field
}
"""Alias of a raw topic → field with the target's address. The other raw topics have no targets that can be removed."""


@dataclass(frozen=True)
class RemovedTarget:
    """Subject of the last record of a removed target."""

    host: str
    address: str
    labels: Mapping[str, str]

    @property
    def intervals(self) -> Mapping[str, float]:
        """The last record has no interval."""
        return {catalog.REMOVED_CATEGORY: 0.0}
