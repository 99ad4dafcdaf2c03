"""Redfish: BMCs read over HTTP(S) into RedfishSample records. `reader` is the door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from producers.redfish.client import Client
from producers.redfish.sweep import CATEGORIES, RedfishReader
from producers.targets import secret
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from producers.targets import RedfishTarget

__all__ = ["RedfishReader", "reader"]


def reader(target: RedfishTarget, interval_s: float) -> RedfishReader:
    """The reader of a target; `interval_s` seconds between two polls where the target does not say otherwise.

    Raises:
        Misconfigured: its password or its CA file is not there.
    """
    if isinstance(target.verify, Path) and not target.verify.is_file():
        raise Misconfigured(f"{target.host}: verify: {target.verify}, named in fleet.yaml, is not a file")

    def credentials() -> tuple[str, str] | None:
        if target.username is None or target.password is None:
            return None
        return target.username, secret(target.password)

    credentials()  # a password that is missing now is told now
    usual_s = target.interval or interval_s
    return RedfishReader(
        target.host,
        Client(
            target.address,
            credentials,
            verify=target.verify if isinstance(target.verify, bool) else str(target.verify),
            proxy=target.proxy,
        ),
        labels=target.labels,
        intervals=dict.fromkeys(CATEGORIES, usual_s) | dict(target.intervals),
    )
