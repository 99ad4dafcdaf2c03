"""Set-up of InfluxDB before lines are written: checks or creates databases, their retention and a token that may write.

Retention follows the scripting API's advice: 30 days, and 7 for `vm_devices`, which has most lines. Version 1, 2 and 3
Core have retention per policy, bucket or database and not per measurement, so the 7 days need a database of their own,
named by RACKSTREAM_INFLUX_DEVICES_DB. Existing databases are never changed: a shorter retention would delete history.

Endpoints: https://docs.influxdata.com/influxdb/v1/query_language/manage-database/ , influxdb/v2/api/buckets/ and
influxdb3/core/api/database/ .
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict
from urllib.parse import urlencode

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from sinks.rows import Value
    from sinks.settings import InfluxSettings
    from sinks.sink import Json

RETENTION_DAYS: Final = 30
DEVICES_RETENTION_DAYS: Final = 7


@dataclass(frozen=True)
class WriteTarget:
    """A database, bucket or retention policy that lines are written to."""

    name: str
    exists: bool
    created: bool = False
    retention_days: float | None = None
    """0: unlimited; None: this server does not report it."""

    def __str__(self) -> str:
        state = "created" if self.created else "exists" if self.exists else "missing"
        if self.retention_days is None:
            return f"{self.name}: {state}"
        retention = f"{self.retention_days:g} days" if self.retention_days else "unlimited"
        return f"{self.name}: {state}, retention: {retention}"


class InfluxSeries(TypedDict):
    """A series in the answer to an InfluxQL query."""

    columns: list[str]
    values: list[list[Value]]
    tags: NotRequired[dict[str, str]]
    partial: NotRequired[bool]


def set_up(settings: InfluxSettings, *, create: bool, report: Callable[[str], None]) -> None:
    """Checks that the sink can write; creates missing databases if `create`. `report` receives one line per finding.

    Raises:
        Misconfigured: Something is wrong or missing.
        Retry: The server is unreachable.
    """
    targets = InfluxServer(settings).write_targets(create=create)
    for target in targets:
        report(str(target))
    if missing := [target.name for target in targets if not target.exists]:
        raise Misconfigured(f"missing: {', '.join(missing)}; `rackstream sink influx --set-up` creates it")
    report("the token may write")


class InfluxServer:
    """Management and query API of one InfluxDB of version 1, 2 or 3."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._token = settings.token.get_secret_value()
        ca = str(settings.ca) if settings.ca else None
        self._http = PoolManager(ca_certs=ca, retries=False, timeout=Timeout(settings.timeout_s))
        self.version = self._request("GET", "/ping").headers.get("X-Influxdb-Version", "").removeprefix("v")
        """As the server reports it; may be empty."""

    def write_targets(self, *, create: bool) -> list[WriteTarget]:
        """Returns the databases that lines are written to; creates missing ones if `create`.

        Raises:
            Retry: The server is unreachable.
            Misconfigured: The token is wrong, the settings name another version's endpoint, or creation failed.
        """
        major = self._major_version()
        api = "v3" if major == "3" else "v2"
        if self._settings.api != api:
            raise Misconfigured(f"{self._settings.url} is InfluxDB {major}: set RACKSTREAM_INFLUX_API={api}")
        find_or_create = {"1": self._policy, "2": self._bucket, "3": self._database}[major]
        retention_days = {self._settings.database: RETENTION_DAYS}
        if self._settings.devices_database:
            retention_days[self._settings.devices_database] = DEVICES_RETENTION_DAYS
        targets = [find_or_create(name, days, create) for name, days in retention_days.items()]
        if all(target.exists for target in targets):
            self._verify_write_permission()
        return targets

    def _major_version(self) -> str:
        """Returns 1, 2 or 3. Custom builds report no version; they are recognised by their endpoints."""
        major = self.version.partition(".")[0]
        if major in ("1", "2", "3"):
            return major
        for version, path in {"3": "/api/v3/configure/database?format=json", "2": "/api/v2/setup"}.items():
            if self._request("GET", path).status == 200:
                return version
        return "1"

    def _policy(self, name: str, days: int, create: bool) -> WriteTarget:  # noqa: FBT001
        """Finds or creates a target on version 1: `database`, or `database/policy`."""
        database, _, policy = name.partition("/")
        databases = {row[0] for row in self._influxql("SHOW DATABASES")}
        if database not in databases and create:
            self._influxql(f"CREATE DATABASE {_quote(database)} WITH DURATION {RETENTION_DAYS}d")
        elif database not in databases:
            return WriteTarget(name, exists=False)
        policies = self._influxql(f"SHOW RETENTION POLICIES ON {_quote(database)}")
        matches = [row for row in policies if row[0] == policy or (not policy and row[-1] is True)]
        if not matches and create:
            self._influxql(
                f"CREATE RETENTION POLICY {_quote(policy)} ON {_quote(database)} DURATION {days}d REPLICATION 1"
            )
            return WriteTarget(name, exists=True, created=True, retention_days=days)
        if not matches:
            return WriteTarget(name, exists=False)
        hours = _parse_hours(matches[0][1])
        return WriteTarget(name, exists=True, created=database not in databases, retention_days=hours / 24)

    def _influxql(self, text: str) -> list[list[Value]]:
        return [row for series in self.query(text) for row in series.get("values", [])]

    def query(self, text: str, database: str | None = None) -> list[InfluxSeries]:
        """Runs an InfluxQL statement; times in the answer are nanoseconds.

        Args:
            text: The statement.
            database: Database to query; on version 1, `database/policy` is possible. None for management statements.

        Raises:
            Retry: The server is unreachable.
            Misconfigured: It refuses the statement, or answers only in part.
        """
        name, _, policy = (database or "").partition("/")
        parameters = {"q": text, "db": name, "rp": policy, "epoch": "ns"}
        query = urlencode({parameter: value for parameter, value in parameters.items() if value})
        if database is None:  # statements that create something must be posted
            answer = self._request_json("POST", "/query", query, "application/x-www-form-urlencoded")
        else:
            answer = self._request_json("GET", f"/query?{query}")
        [result] = answer["results"]
        if "error" in result:
            raise Misconfigured(f"InfluxDB at {self._settings.url} answers {result['error']!r} to {text}")
        all_series: list[InfluxSeries] = result.get("series", [])
        if any(series.get("partial") for series in all_series):
            raise Misconfigured(f"InfluxDB at {self._settings.url} answers only in part: raise its max-row-limit")
        return all_series

    def _bucket(self, name: str, days: int, create: bool) -> WriteTarget:  # noqa: FBT001
        """Finds or creates a target on version 2."""
        org = self._settings.org
        path = f"/api/v2/buckets?{urlencode({'name': name, 'org': org})}"
        for bucket in self._request_json("GET", path, missing_ok=True).get("buckets", []):
            seconds = [rule["everySeconds"] for rule in bucket.get("retentionRules", [])]
            return WriteTarget(name, exists=True, retention_days=min(seconds, default=0) / 86400)
        if create:
            [owner] = self._request_json("GET", f"/api/v2/orgs?{urlencode({'org': org})}")["orgs"]
            rule = {"type": "expire", "everySeconds": days * 86400}
            self._request_json(
                "POST", "/api/v2/buckets", {"orgID": owner["id"], "name": name, "retentionRules": [rule]}
            )
        return WriteTarget(name, exists=create, created=create, retention_days=days if create else None)

    def _database(self, name: str, days: int, create: bool) -> WriteTarget:  # noqa: FBT001
        """Finds or creates a target on version 3."""
        databases = self._request_json("GET", "/api/v3/configure/database?format=json")
        if any(name in entry.values() if isinstance(entry, Mapping) else name == entry for entry in databases):
            return WriteTarget(name, exists=True)
        if create:
            self._request_json("POST", "/api/v3/configure/database", {"db": name, "retention_period": f"{days}d"})
        return WriteTarget(name, exists=create, created=create, retention_days=days if create else None)

    def _verify_write_permission(self) -> None:
        """Writes nothing: 1 and 2 acknowledge an empty body, 3 refuses it; the token is checked before that."""
        database, org = self._settings.database, self._settings.org
        if self._settings.api == "v2":
            path = f"/api/v2/write?{urlencode({'org': org, 'bucket': database, 'precision': 'ns'})}"
        else:
            path = f"/api/v3/write_lp?{urlencode({'db': database, 'precision': 'nanosecond'})}"
        response = self._request("POST", path, "")
        if response.status not in (204, 400):
            raise Misconfigured(f"{self._settings.url} answers {response.status} to a write: check INFLUX_TOKEN")

    def _request_json(
        self,
        method: str,
        path: str,
        body: Json = None,
        content_type: str = "application/json",
        *,
        missing_ok: bool = False,
    ) -> Json:
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        response = self._request(method, path, text, content_type)
        if missing_ok and response.status == 404:
            return {}
        if response.status >= 300:
            request = f"{method} {path.partition('?')[0]}"
            reason = self._shorten(response.data.decode(errors="replace"))
            raise Misconfigured(f"InfluxDB at {self._settings.url} answers {response.status} to {request}: {reason}")
        return response.json() if response.data else {}

    def _request(
        self, method: str, path: str, body: str | None = None, content_type: str = "text/plain"
    ) -> BaseHTTPResponse:
        url = self._settings.url
        headers = {"Authorization": f"Token {self._token}", "Content-Type": content_type}
        try:
            response = self._http.request(method, url + path, body=body, headers=headers, redirect=False)
        except HTTPError as error:
            reason = str(error.args[-1]) if error.args else str(error)  # the other arguments are objects
            raise Retry(f"InfluxDB at {url} not reached: {self._shorten(reason)}") from None
        if response.status in (401, 403):
            raise Misconfigured(f"InfluxDB at {url} answers {response.status}: check INFLUX_TOKEN and its permissions")
        if response.status == 429 or response.status >= 500:
            raise Retry(f"InfluxDB at {url} answers {response.status}")
        return response

    def _shorten(self, text: str) -> str:
        return text.replace(self._token, "***").strip()[:300]


def _quote(name: str) -> str:
    """Returns an identifier of InfluxQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parse_hours(duration: str) -> float:
    """Parses a Go duration as version 1 prints it, such as `720h0m0s`; `0s` is unlimited."""
    return float(duration.partition("h")[0]) if "h" in duration else 0.0
