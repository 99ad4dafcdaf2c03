"""Header of raw and derived records, for code that works with any of them."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class RecordHeader(TypedDict):
    """Common fields of raw and derived records: host, category, time of observation, position in the series.

    The generated types of `schemas.records` that have these fields can be passed where a header is expected.
    """

    host: str
    """The host."""
    category: str
    """Kind of reading, such as `thermal`."""
    observed_at: datetime
    """When the source was read."""
    epoch: str
    """Run of the producer that numbered the record. Later runs have greater epochs."""
    sequence: int
    """Number of the record within epoch, host and category."""
    labels: dict[str, str]
    """Labels of the target."""
