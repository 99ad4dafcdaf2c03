"""Redfish: BMCs read over HTTP(S) into RedfishSample records, for the fleet (`create_reader`) and for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from producers.fleet.config import secret
from producers.redfish.http.client import Client
from producers.redfish.multi_node import NodesReader
from producers.redfish.reader import CATEGORIES, RedfishReader
from producers.redfish.scripting.collector import RedfishTelemetryCollector
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from producers.fleet.config import RedfishTarget

__all__ = ["RedfishReader", "RedfishTelemetryCollector", "create_reader"]

TIMES_LONGER: Final = {"processor": 6, "memory": 30, "network": 6, "storage": 12}
"""Category → its interval by default, in intervals of the target. These ask for each processor, DIMM, adapter and drive
by itself (DIMMs are the most: up to 96 on record, at 0.2 to 0.5 s each), and what they tell changes slowly."""


def create_reader(
    target: RedfishTarget, interval_s: float, *, stale_session: str | None = None
) -> RedfishReader | NodesReader:
    """The reader of a target; `interval_s` seconds between two polls where the target does not say otherwise.

    `stale_session`: URI of a session that whoever polled it before has left there; it is deleted before the first
    login.

    Raises:
        Misconfigured: its password or its CA file is not there.
    """
    client = client_of(target, stale_session=stale_session)
    usual_s = target.interval or interval_s
    found = RedfishReader(
        target.host,
        client,
        labels=target.labels,
        intervals={name: usual_s * TIMES_LONGER.get(name, 1) for name in CATEGORIES} | dict(target.intervals),
    )
    return NodesReader(found, target.systems) if target.systems else found


def client_of(target: RedfishTarget, *, stale_session: str | None = None) -> Client:
    """The client of a target.

    Raises:
        Misconfigured: its password or its CA file is not there.
    """
    if isinstance(target.verify, Path) and not target.verify.is_file():
        raise Misconfigured(f"verify: {target.verify} is not a file")

    def credentials() -> tuple[str, str] | None:
        if target.username is None or target.password is None:
            return None
        return target.username, secret(target.password)

    credentials()  # a password that is missing now is told now
    return Client(
        target.address,
        credentials,
        verify=target.verify if isinstance(target.verify, bool) else str(target.verify),
        proxy=target.proxy,
        stale_session=stale_session,
    )
