"""Seed 000's collector: one BMC's telemetry as dictionaries, asked for when it is wanted. No Kafka.

It reads through the reader and the tables of the fleet's source. What goes wrong is logged and told by the return
value; nothing is raised, and no message holds the password.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import requests

from producers.reader import PollFailed, Problems, Sample
from producers.redfish.http import errors
from producers.redfish.http.client import Client, Credentials
from producers.redfish.http.errors import Fault
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import Table, at, row, text
from producers.redfish.reader import ARRAYS, CATEGORIES, RedfishReader
from producers.redfish.scripting import dictionaries, export
from producers.redfish.scripting.requests_session import session_of

# Not structlog, which unconfigured writes to stdout: this class is for scripts, whose own output that is.
log = logging.getLogger(__name__)
TIMEOUT_S: Final = 120.0
"""For one category: the most members on record, 96 DIMMs at 0.5 s each and four at once, take a tenth of it."""

Telemetry = dict[str, Any]


class RedfishTelemetryCollector:
    """Class to collect telemetry data from servers via Redfish API.

    Safe for several threads, and for calls of its methods side by side: at most four requests are under way at once.

    Args:
        host: host name or address of the BMC.
        username: its user; empty: no authentication.
        password: its password.
        port: HTTPS port.
        verify_ssl: check the certificate.
    """

    def __init__(self, host: str, username: str, password: str, port: int = 443, verify_ssl: bool = False) -> None:  # noqa: FBT001, FBT002  the seed's
        self.host = host
        self.username = username
        self.password = password
        self.port = port
        self.verify_ssl = verify_ssl
        name = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.base_url = f"https://{name}:{port}"
        self.service_root = "/redfish/v1"
        self.systems_endpoint: str | None = None
        self.chassis_endpoint: str | None = None
        self.managers_endpoint: str | None = None
        self.telemetry_service: str | None = None
        self._client = Client(self.base_url, _credentials_of(weakref.ref(self)), verify=verify_ssl)
        self._reader = RedfishReader(host, self._client, labels={}, intervals=dict.fromkeys(CATEGORIES, TIMEOUT_S))
        self.session = session_of(self._client)
        # Scripts make collectors and forget them, as the seed's examples do: a BMC has few sessions to forget.
        weakref.finalize(self, self._client.close)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r}, username={self.username!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Deletes the session and closes the connections; both are opened again when needed."""
        self._client.close()

    def discover_endpoints(self) -> bool:
        """Finds out what the BMC has, and remembers it. Whether it could be reached and read."""
        try:
            self._note_endpoints(self._reader.discover(TIMEOUT_S))
        except PollFailed as failed:
            log.error("endpoints not discovered: %s", failed)  # noqa: TRY400
            return False
        return True

    def get_system_telemetry(self) -> Telemetry | None:
        """The first physical System; None on error, or where the BMC has none."""
        sample = self._read("system")
        systems = sample.body["systems"] if sample else []
        if not systems:
            return None
        first = min(systems, key=lambda each: {"Physical": 0, None: 1}.get(each["system_type"], 2))
        return self._told("systems", [first])[0]

    def get_thermal_telemetry(self) -> list[Telemetry] | None:
        """Temperatures (°C) and fans (RPM or percent, as `reading_units` says); None on error."""
        return self._category("thermal")

    def get_power_telemetry(self) -> list[Telemetry] | None:
        """Power controls (W), voltages (V) and power supplies; None on error."""
        return self._category("power")

    def get_processor_telemetry(self) -> list[Telemetry] | None:
        """Processors, GPUs among them by `processor_type`; None on error."""
        return self._category("processor")

    def get_memory_telemetry(self) -> list[Telemetry] | None:
        """DIMMs; empty slots have the state Absent. None on error."""
        return self._category("memory")

    def get_network_telemetry(self) -> list[Telemetry] | None:
        """Network interfaces; None on error."""
        return self._category("network")

    def get_storage_telemetry(self) -> list[Telemetry] | None:
        """Storage controllers and drives; None on error."""
        return self._category("storage")

    def get_all_telemetry(self) -> list[Telemetry]:
        """Everything there is, of all Systems; what could not be read is left out."""
        if self.systems_endpoint is None and self.chassis_endpoint is None and not self.discover_endpoints():
            return []
        parts = (
            self._category("system"),
            self.get_thermal_telemetry(),
            self.get_power_telemetry(),
            self.get_processor_telemetry(),
            self.get_memory_telemetry(),
            self.get_network_telemetry(),
            self.get_storage_telemetry(),
        )
        return [each for part in parts for each in part or []]

    def export_to_json(self, telemetry_data: list[Telemetry], filename: str | None = None) -> str | None:
        """Writes a JSON array. The file's name, or None on error."""
        path = Path(filename or export.automatic_name(self.host, "json"))
        try:
            export.as_json(telemetry_data, path)
        except (OSError, TypeError, ValueError) as error:
            log.error("not exported to %s: %s", path, error)  # noqa: TRY400  a traceback tells a script's user nothing
            return None
        return str(filename or path)

    def export_to_csv(self, telemetry_data: list[Telemetry], filename: str | None = None) -> str | None:
        """Writes CSV under the union of all columns, lists as JSON. The file's name; None on error or without data."""
        if not telemetry_data:
            log.warning("no telemetry to export")
            return None
        path = Path(filename or export.automatic_name(self.host, "csv"))
        try:
            export.as_csv([self._flatten_dict(each) for each in telemetry_data], path)
        except (OSError, TypeError, ValueError, AttributeError) as error:
            log.error("not exported to %s: %s", path, error)  # noqa: TRY400
            return None
        return str(filename or path)

    def _make_request(self, method: str, url: str, **kwargs: Any) -> requests.Response | None:
        """One request to this BMC, with options of `requests`; None on error, an HTTP error status among them."""
        try:
            response = self.session.request(method, urljoin(self.base_url, url), **kwargs)
            if fault := errors.of_status(response.status_code):
                raise fault
        except (Fault, requests.RequestException) as error:
            log.error("%s %s: %s", method, urlsplit(url).path, error)  # noqa: TRY400
            return None
        return response

    def _get_boot_source(self, system_data: Mapping[str, Any]) -> dict[str, Any]:
        """The override of the next boot, of a ComputerSystem resource."""
        return _part(tables.BOOT, system_data)

    def _get_processor_summary(self, system_data: Mapping[str, Any]) -> dict[str, Any]:
        """`count`, `model` and status of the processors, of a ComputerSystem resource."""
        return _part(tables.PROCESSOR_SUMMARY, system_data)

    def _get_memory_summary(self, system_data: Mapping[str, Any]) -> dict[str, Any]:
        """`total_system_memory_gib` (GiB) and status of the memory, of a ComputerSystem resource."""
        return _part(tables.MEMORY_SUMMARY, system_data)

    def _flatten_dict(self, d: dict[str, Any], parent_key: str = "", sep: str = "_") -> dict[str, Any]:
        """A dictionary without dictionaries inside; lists become JSON text."""
        return export.flat(d, parent_key, sep)

    def _category(self, category: str) -> list[Telemetry] | None:
        """The dictionaries of a category. None where nothing was got for a fault of the BMC's, not for lack of it."""
        sample = self._read(category)
        if sample is None:
            return None
        told = [each for array in ARRAYS[category] for each in self._told(array, sample.body[array])]
        failed = any(where != category for where, _ in sample.problems.whole)
        return None if failed and not told else told

    def _told(self, array: str, records: list[dict[str, Any]]) -> list[Telemetry]:
        timestamp = datetime.now(UTC).isoformat()
        return [dictionaries.telemetry(array, record, timestamp, self.host) for record in records]

    def _read(self, category: str) -> Sample | None:
        """A poll; None, and the reason logged, where it failed."""
        try:
            sample = self._reader.read(category, TIMEOUT_S)
        except PollFailed as failed:
            log.error("no %s telemetry: %s", category, failed)  # noqa: TRY400
            return None
        self._note_endpoints(self._reader.root)
        for where, cause in sample.problems.whole:
            log.warning("%s: %s: %s", self.host, where, cause)
        return sample

    def _note_endpoints(self, root: Mapping[str, Any]) -> None:
        def of(name: str) -> str | None:
            link = text(at(root, f"{name}/@odata.id"))
            return urljoin(self.base_url, link) if link else None

        self.systems_endpoint, self.chassis_endpoint = of("Systems"), of("Chassis")
        self.managers_endpoint, self.telemetry_service = of("Managers"), of("TelemetryService")


def _credentials_of(who: weakref.ref[RedfishTelemetryCollector]) -> Credentials:
    """What the collector's attributes say at each request. By a weak reference, so that it goes when it is let go."""

    def credentials() -> tuple[str, str] | None:
        collector = who()
        return (collector.username, collector.password or "") if collector and collector.username else None

    return credentials


def _part(table: Table, system_data: Mapping[str, Any]) -> dict[str, Any]:
    resource = at(system_data, table.each)
    record = row(table, resource if isinstance(resource, dict) else {}, Problems())
    return dictionaries.part("systems", table.record, record)
