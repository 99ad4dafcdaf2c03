"""Whose a BMC is, in words that serve as a label: what BMCs say of themselves is as long and varied as they like."""

from __future__ import annotations

import re
from typing import Final

KNOWN: Final = {
    "dell": "dell",
    "hpe": "hpe",
    "hewlett": "hpe",
    "lenovo": "lenovo",
    "supermicro": "supermicro",
    "super micro": "supermicro",
    "cisco": "cisco",
    "fujitsu": "fujitsu",
    "huawei": "huawei",
    "xfusion": "xfusion",
    "inspur": "inspur",
    "gigabyte": "gigabyte",
    "giga computing": "gigabyte",
    "quanta": "quanta",
    "nvidia": "nvidia",
    "ibm": "ibm",
    "intel": "intel",
    "openbmc": "openbmc",
    "ami": "ami",
    "american megatrends": "ami",
}
"""How a word of the name begins, in small letters → label. The first that fits."""


def label(told: str | None) -> str:
    """One of the values of `KNOWN`, `other`, or empty where nothing is told."""
    name = (told or "").strip().casefold()
    if not name or name in KNOWN.values():
        return name
    return next((known for part, known in KNOWN.items() if re.search(rf"\b{part}", name)), "other")
