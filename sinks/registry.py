"""The registry of sinks: a new kind of sink is a package with a `SinkSpec`, and one line here.

Commands, ACL roles, the local pipeline, doctor, replay and the retry of dead letters take the kinds from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Final

from sinks.sink import SinkSpec

SPECS: Final = (
    "sinks.files:FILES",
    "sinks.influx:SPEC",
    "sinks.files:ARCHIVE",
    "sinks.webhook:SPEC",
)
"""Package and name of each specification, as in an entry point, in the order in which they are listed to users."""


def _load() -> Mapping[str, SinkSpec]:
    specs = [resolve_name(reference) for reference in SPECS]
    assert all(isinstance(spec, SinkSpec) for spec in specs)
    return MappingProxyType({spec.kind: spec for spec in specs})


SINKS: Final = _load()
"""Kind → specification."""
