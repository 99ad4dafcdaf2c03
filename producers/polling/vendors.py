"""Vendor labels of BMCs for metrics; the names that BMCs report vary and have any length."""

from __future__ import annotations

import re
from typing import Final

VENDOR_LABELS: Final = {
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
"""Beginning of a word in the name, in lower case → label. The first match counts."""


def vendor_label(name: str | None) -> str:
    """Returns one of the labels, `other`, or an empty string if there is no name."""
    normalized = (name or "").strip().casefold()
    if not normalized or normalized in VENDOR_LABELS.values():
        return normalized
    return next((label for prefix, label in VENDOR_LABELS.items() if re.search(rf"\b{prefix}", normalized)), "other")
