"""Redfish source: polls BMCs over HTTP(S) into `RedfishSample` records; also the scripting API for one BMC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from producers.fleet.secret_reference import ReadSecret, resolve_secret
from producers.redfish.http.client import RedfishClient
from producers.redfish.multi_node import MultiNodeReader
from producers.redfish.reader import CATEGORIES, RedfishReader
from producers.redfish.scripting.collector import RedfishTelemetryCollector
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from producers.fleet.targets import RedfishTarget

__all__ = ["RedfishReader", "RedfishTelemetryCollector", "create_reader"]

INTERVAL_FACTORS: Final = {"processor": 6, "memory": 30, "network": 6, "storage": 12}
"""Category → default interval as a multiple of the target's. These categories need a request for each processor, DIMM,
adapter or drive (up to 96 DIMMs on record, at 0.2 to 0.5 s each), and their values change slowly."""


def create_reader(
    target: RedfishTarget,
    interval_s: float,
    *,
    stale_session: str | None = None,
    read_secret: ReadSecret = resolve_secret,
) -> RedfishReader | MultiNodeReader:
    """Returns the reader of a target.

    Args:
        target: Entry of the fleet file.
        interval_s: Interval of a target that sets none.
        stale_session: URI of a session that the target's previous producer left open; deleted before the first login.
        read_secret: Reads the password of the target.

    Raises:
        Misconfigured: The password or the CA file of the target is missing.
    """
    client = create_client(target, stale_session=stale_session, read_secret=read_secret)
    target_interval_s = target.interval or interval_s
    reader = RedfishReader(
        target.host,
        client,
        labels=target.labels,
        intervals={category: target_interval_s * INTERVAL_FACTORS.get(category, 1) for category in CATEGORIES}
        | dict(target.intervals),
    )
    return MultiNodeReader(reader, target.systems) if target.systems else reader


def create_client(
    target: RedfishTarget, *, stale_session: str | None = None, read_secret: ReadSecret = resolve_secret
) -> RedfishClient:
    """Returns the client of a target.

    Raises:
        Misconfigured: The password or the CA file of the target is missing.
    """
    if isinstance(target.verify, Path) and not target.verify.is_file():
        raise Misconfigured(f"verify: {target.verify} is not a file")

    def credentials() -> tuple[str, str] | None:
        if target.username is None or target.password is None:
            return None
        return target.username, read_secret(target.password)

    credentials()  # reports a missing password at start-up
    return RedfishClient(
        target.address,
        credentials,
        verify=target.verify if isinstance(target.verify, bool) else str(target.verify),
        proxy=target.proxy,
        stale_session=stale_session,
    )
