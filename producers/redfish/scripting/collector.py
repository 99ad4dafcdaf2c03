"""Scripting API (docs/python.md): reads one BMC's telemetry on demand, as dictionaries. No Kafka.

Uses the reader and the tables of the Redfish source. Errors are logged and indicated by the return value; no method
raises, and no message contains the password.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import requests

from producers.reader import PollFailed, Problems, Sample
from producers.redfish.documents import JsonObject, link_at, value_at
from producers.redfish.http import errors
from producers.redfish.http.client import Credentials, RedfishClient
from producers.redfish.http.errors import RedfishError
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import RedfishRecord, ResourceTable, map_object
from producers.redfish.reader import CATEGORIES, RECORD_ARRAYS, RedfishReader
from producers.redfish.scripting import dictionaries, export
from producers.redfish.scripting.dictionaries import Telemetry
from producers.redfish.scripting.requests_session import create_session
from schemas.records import RedfishSystem

# Not structlog, which writes to stdout unless configured: stdout belongs to the script that uses this class.
log = logging.getLogger(__name__)
TIMEOUT_S: Final = 120.0
"""Time-out of one category. The most members on record, 96 DIMMs at 0.5 s each and four at once, take a tenth of it."""


class RedfishTelemetryCollector:
    """Collects telemetry of one server through its BMC's Redfish API.

    Safe for several threads: methods may be called concurrently, and send four requests at once at most.

    Args:
        host: Host name or address of the BMC.
        username: User; empty for no authentication.
        password: Password of the user.
        port: HTTPS port.
        verify_ssl: Verify the certificate.
    """

    def __init__(self, host: str, username: str, password: str, port: int = 443, verify_ssl: bool = False) -> None:  # noqa: FBT001, FBT002  public signature
        self.host = host
        self.username = username
        self.password = password
        self.port = port
        self.verify_ssl = verify_ssl
        url_host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self.base_url = f"https://{url_host}:{port}"
        self.service_root = "/redfish/v1"
        self.systems_endpoint: str | None = None
        self.chassis_endpoint: str | None = None
        self.managers_endpoint: str | None = None
        self.telemetry_service: str | None = None
        self._client = RedfishClient(self.base_url, _credentials_of(weakref.ref(self)), verify=verify_ssl)
        self._reader = RedfishReader(host, self._client, labels={}, intervals=dict.fromkeys(CATEGORIES, TIMEOUT_S))
        self.session = create_session(self._client)
        # Scripts often drop collectors without `close`, and a BMC has few sessions to lose.
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
        """Discovers the resources of the BMC. True if it could be reached and read."""
        try:
            self._set_endpoints(self._reader.discover(TIMEOUT_S))
        except PollFailed as error:
            log.error("endpoints not discovered: %s", error)  # noqa: TRY400
            return False
        return True

    def get_system_telemetry(self) -> Telemetry | None:
        """Returns the first physical System; None on error, or if the BMC has none."""
        sample = self._read("system")
        systems: list[RedfishSystem] = sample.body["systems"] if sample else []
        if not systems:
            return None
        preference = {"Physical": 0, None: 1}
        system = min(systems, key=lambda system: preference.get(system["system_type"], len(preference)))
        return self._dictionaries("systems", [system])[0]

    def get_thermal_telemetry(self) -> list[Telemetry] | None:
        """Returns temperatures (°C) and fans (RPM or percent, see `reading_units`); None on error."""
        return self._category("thermal")

    def get_power_telemetry(self) -> list[Telemetry] | None:
        """Returns power controls (W), voltages (V) and power supplies; None on error."""
        return self._category("power")

    def get_processor_telemetry(self) -> list[Telemetry] | None:
        """Returns processors, including GPUs (see `processor_type`); None on error."""
        return self._category("processor")

    def get_memory_telemetry(self) -> list[Telemetry] | None:
        """Returns DIMMs; empty slots have the state Absent. None on error."""
        return self._category("memory")

    def get_network_telemetry(self) -> list[Telemetry] | None:
        """Returns network interfaces; None on error."""
        return self._category("network")

    def get_storage_telemetry(self) -> list[Telemetry] | None:
        """Returns storage controllers and drives; None on error."""
        return self._category("storage")

    def get_all_telemetry(self) -> list[Telemetry]:
        """Returns all categories of all Systems, without what could not be read."""
        if self.systems_endpoint is None and self.chassis_endpoint is None and not self.discover_endpoints():
            return []
        categories = (
            self._category("system"),
            self.get_thermal_telemetry(),
            self.get_power_telemetry(),
            self.get_processor_telemetry(),
            self.get_memory_telemetry(),
            self.get_network_telemetry(),
            self.get_storage_telemetry(),
        )
        return [entry for entries in categories for entry in entries or []]

    def export_to_json(self, telemetry_data: list[Telemetry], filename: str | None = None) -> str | None:
        """Writes the entries as a JSON array. Returns the file's name, or None on error."""
        path = Path(filename or export.default_filename(self.host, "json"))
        try:
            export.write_json(telemetry_data, path)
        except (OSError, TypeError, ValueError) as error:
            log.error("not exported to %s: %s", path, error)  # noqa: TRY400  a traceback does not help a script's user
            return None
        return str(filename or path)

    def export_to_csv(self, telemetry_data: list[Telemetry], filename: str | None = None) -> str | None:
        """Writes CSV with the union of all columns, lists as JSON.

        Returns:
            The file's name; None on error or without data.
        """
        if not telemetry_data:
            log.warning("no telemetry to export")
            return None
        path = Path(filename or export.default_filename(self.host, "csv"))
        try:
            export.write_csv([self._flatten_dict(entry) for entry in telemetry_data], path)
        except (OSError, TypeError, ValueError, AttributeError) as error:
            log.error("not exported to %s: %s", path, error)  # noqa: TRY400
            return None
        return str(filename or path)

    def _make_request(self, method: str, url: str, **kwargs: Any) -> requests.Response | None:
        """Sends a request to this BMC, with options of `requests`. Returns None on error, including HTTP errors."""
        try:
            response = self.session.request(method, urljoin(self.base_url, url), **kwargs)
            if error := errors.from_status(response.status_code):
                raise error
        except (RedfishError, requests.RequestException) as error:
            log.error("%s %s: %s", method, urlsplit(url).path, error)  # noqa: TRY400
            return None
        return response

    def _get_boot_source(self, system_data: Mapping[str, Any]) -> Telemetry:
        """Returns the boot override of a ComputerSystem resource."""
        return _nested(tables.BOOT_SOURCE, system_data)

    def _get_processor_summary(self, system_data: Mapping[str, Any]) -> Telemetry:
        """Returns `count`, `model` and status of the processors of a ComputerSystem resource."""
        return _nested(tables.PROCESSOR_SUMMARY, system_data)

    def _get_memory_summary(self, system_data: Mapping[str, Any]) -> Telemetry:
        """Returns `total_system_memory_gib` (GiB) and status of the memory of a ComputerSystem resource."""
        return _nested(tables.MEMORY_SUMMARY, system_data)

    def _flatten_dict(self, d: Telemetry, parent_key: str = "", sep: str = "_") -> Telemetry:
        """Returns a dictionary without nested dictionaries; lists become JSON text."""
        return export.flatten(d, parent_key, sep)

    def _category(self, category: str) -> list[Telemetry] | None:
        """Returns the dictionaries of a category; None if there are none because of errors."""
        sample = self._read(category)
        if sample is None:
            return None
        entries = [
            entry for array in RECORD_ARRAYS[category] for entry in self._dictionaries(array, sample.body[array])
        ]
        has_failed = any(field != category for field, _ in sample.problems.whole)
        return None if has_failed and not entries else entries

    def _dictionaries(self, array: str, records: Iterable[RedfishRecord]) -> list[Telemetry]:
        timestamp = datetime.now(UTC).isoformat()
        return [dictionaries.telemetry_dictionary(array, record, timestamp, self.host) for record in records]

    def _read(self, category: str) -> Sample | None:
        """Polls a category. Logs the reason and returns None if that failed."""
        try:
            sample = self._reader.read(category, TIMEOUT_S)
        except PollFailed as error:
            log.error("no %s telemetry: %s", category, error)  # noqa: TRY400
            return None
        self._set_endpoints(self._reader.root)
        for field, cause in sample.problems.whole:
            log.warning("%s: %s: %s", self.host, field, cause)
        return sample

    def _set_endpoints(self, root: JsonObject) -> None:
        def endpoint(name: str) -> str | None:
            link = link_at(root, name)
            return urljoin(self.base_url, link) if link else None

        self.systems_endpoint, self.chassis_endpoint = endpoint("Systems"), endpoint("Chassis")
        self.managers_endpoint, self.telemetry_service = endpoint("Managers"), endpoint("TelemetryService")


def _credentials_of(reference: weakref.ref[RedfishTelemetryCollector]) -> Credentials:
    """Returns a function that reads the collector's attributes; the weak reference does not keep it alive."""

    def credentials() -> tuple[str, str] | None:
        collector = reference()
        return (collector.username, collector.password or "") if collector and collector.username else None

    return credentials


def _nested(table: ResourceTable[Mapping[str, object]], system_data: JsonObject) -> Telemetry:
    resource = value_at(system_data, table.property_path)
    record = map_object(table, resource if isinstance(resource, dict) else {}, Problems())
    return dictionaries.nested_dictionary("systems", table.record_field, record)
