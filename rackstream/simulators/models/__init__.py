"""The shapes by name: data and pure functions, in the form of what vendors document, with nothing of any machine."""

from __future__ import annotations

from typing import Final

from rackstream.simulators.model import Shape
from rackstream.simulators.models import blade, dell, hpe, lenovo, openbmc, supermicro

SHAPES: Final[dict[str, Shape]] = {
    each.SHAPE.name: each.SHAPE for each in (dell, hpe, lenovo, supermicro, openbmc, blade)
}
MIX: Final = "mix"
"""All of them in turn."""


def shape_of(name: str, number: int) -> Shape:
    """The shape of a BMC in a fleet of this name."""
    return SHAPES[list(SHAPES)[number % len(SHAPES)] if name == MIX else name]
