"""Models of BMCs by vendor, in the form that the vendors document; without data of any real machine. Pure."""

from __future__ import annotations

from typing import Final

from rackstream.simulators.model import BmcModel
from rackstream.simulators.models import blade, dell, hpe, lenovo, openbmc, supermicro

MODELS: Final[dict[str, BmcModel]] = {
    module.MODEL.name: module.MODEL for module in (dell, hpe, lenovo, supermicro, openbmc, blade)
}
"""Name → model."""
MIX: Final = "mix"
"""Name of a fleet in which the models alternate."""


def model_for(name: str, number: int) -> BmcModel:
    """Returns the model of a BMC in a fleet of this name."""
    return MODELS[list(MODELS)[number % len(MODELS)] if name == MIX else name]
