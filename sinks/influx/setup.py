"""What InfluxDB must have before lines go there: the database, a token that may write, retention. Looks, or creates.

Retention is seed 003's advice: 30 days, and 7 for `vm_devices`, where most lines are. Version 1, 2 and 3 Core keep time
per retention policy, bucket or database and not per measurement, so the 7 days need a place of their own, named by
RACKSTREAM_INFLUX_DEVICES_DB. What exists is never changed: shortening its retention would delete stored history.

Endpoints: https://docs.influxdata.com/influxdb/v1/query_language/manage-database/ , influxdb/v2/api/buckets/ and
influxdb3/core/api/database/ .
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from sinks.settings import InfluxSettings

DAYS: Final = 30
DEVICE_DAYS: Final = 7


@dataclass(frozen=True)
class Place:
    """A database, bucket or retention policy, and how long it keeps what it is given."""

    name: str
    there: bool
    created: bool = False
    days: float | None = None
    """Days; 0: for ever; None: this server does not tell."""

    def __str__(self) -> str:
        kept = "" if self.days is None else ", keeps for ever" if self.days == 0 else f", keeps {self.days:g} days"
        return f"{self.name}: {'created' if self.created else 'there' if self.there else 'missing'}{kept}"


class Server:
    """One InfluxDB of version 1, 2 or 3, asked over HTTP."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._token = settings.token.get_secret_value()
        ca = str(settings.ca) if settings.ca else None
        self._http = PoolManager(ca_certs=ca, retries=False, timeout=Timeout(settings.timeout_s))
        self.version = self._ask("GET", "/ping").headers.get("X-Influxdb-Version", "").removeprefix("v")
        """As the server says it."""

    def places(self, *, create: bool) -> list[Place]:
        """Where lines go, created where missing if `create`.

        Raises:
            Retry: the server is away.
            Misconfigured: the token is wrong, the endpoint of the settings is not this version's, or creating failed.
        """
        major = self._major()
        wanted = "v3" if major == "3" else "v2"
        if self._settings.api != wanted:
            raise Misconfigured(f"{self._settings.url} is InfluxDB {major}: set RACKSTREAM_INFLUX_API={wanted}")
        place = {"1": self._policy, "2": self._bucket, "3": self._database}[major]
        days = {self._settings.database: DAYS}
        if self._settings.devices_database:
            days[self._settings.devices_database] = DEVICE_DAYS
        found = [place(name, kept, create) for name, kept in days.items()]
        if all(each.there for each in found):
            self._may_write()
        return found

    def _major(self) -> str:
        """1, 2 or 3. A server that was built by hand does not know its own version."""
        major = self.version.partition(".")[0]
        if major in ("1", "2", "3"):
            return major
        for version, path in {"3": "/api/v3/configure/database?format=json", "2": "/api/v2/setup"}.items():
            if self._ask("GET", path).status == 200:
                return version
        return "1"

    def _policy(self, name: str, days: int, create: bool) -> Place:  # noqa: FBT001
        """Version 1: `database`, or `database/policy`."""
        database, _, policy = name.partition("/")
        known = {row[0] for row in self._influxql("SHOW DATABASES")}
        if database not in known and create:
            self._influxql(f"CREATE DATABASE {_quoted(database)} WITH DURATION {DAYS}d")
        elif database not in known:
            return Place(name, there=False)
        rows = self._influxql(f"SHOW RETENTION POLICIES ON {_quoted(database)}")
        match = [row for row in rows if row[0] == policy or (not policy and row[-1] is True)]
        if not match and create:
            self._influxql(
                f"CREATE RETENTION POLICY {_quoted(policy)} ON {_quoted(database)} DURATION {days}d REPLICATION 1"
            )
            return Place(name, there=True, created=True, days=days)
        if not match:
            return Place(name, there=False)
        return Place(name, there=True, created=database not in known, days=_hours(match[0][1]) / 24)

    def _influxql(self, text: str) -> list[list[Any]]:
        return [row for series in self.series(text) for row in series.get("values", [])]

    def series(self, text: str, database: str | None = None) -> list[dict[str, Any]]:
        """What InfluxQL answers, as series; times are nanoseconds.

        Args:
            text: the question, or what is to be created.
            database: where to read; of version 1 maybe `database/policy`.

        Raises:
            Retry: the server is away.
            Misconfigured: it refuses the question, or answers only a part.
        """
        name, _, policy = (database or "").partition("/")
        given = {"q": text, "db": name, "rp": policy, "epoch": "ns"}
        query = urlencode({name: value for name, value in given.items() if value})
        if database is None:  # what creates has to be posted
            answer = self._json("POST", "/query", query, "application/x-www-form-urlencoded")
        else:
            answer = self._json("GET", f"/query?{query}")
        [result] = answer["results"]
        if "error" in result:
            raise Misconfigured(f"InfluxDB at {self._settings.url} answers {result['error']!r} to {text}")
        found: list[dict[str, Any]] = result.get("series", [])
        if any(each.get("partial") for each in found):
            raise Misconfigured(f"InfluxDB at {self._settings.url} answers a part only: raise its max-row-limit")
        return found

    def _bucket(self, name: str, days: int, create: bool) -> Place:  # noqa: FBT001
        org = self._settings.org
        found = self._json("GET", f"/api/v2/buckets?{urlencode({'name': name, 'org': org})}", missing_ok=True)
        for bucket in found.get("buckets", []):
            rules = [each["everySeconds"] for each in bucket.get("retentionRules", [])]
            return Place(name, there=True, days=min(rules, default=0) / 86400)
        if create:
            [owner] = self._json("GET", f"/api/v2/orgs?{urlencode({'org': org})}")["orgs"]
            rule = {"type": "expire", "everySeconds": days * 86400}
            self._json("POST", "/api/v2/buckets", {"orgID": owner["id"], "name": name, "retentionRules": [rule]})
        return Place(name, there=create, created=create, days=days if create else None)

    def _database(self, name: str, days: int, create: bool) -> Place:  # noqa: FBT001
        listed = self._json("GET", "/api/v3/configure/database?format=json")
        if any(name in each.values() if isinstance(each, Mapping) else name == each for each in listed):
            return Place(name, there=True)
        if create:
            self._json("POST", "/api/v3/configure/database", {"db": name, "retention_period": f"{days}d"})
        return Place(name, there=create, created=create, days=days if create else None)

    def _may_write(self) -> None:
        """Writes nothing. 1 and 2 acknowledge an empty body, 3 refuses it as a body; a token is looked at before."""
        database, org = self._settings.database, self._settings.org
        if self._settings.api == "v2":
            path = f"/api/v2/write?{urlencode({'org': org, 'bucket': database, 'precision': 'ns'})}"
        else:
            path = f"/api/v3/write_lp?{urlencode({'db': database, 'precision': 'nanosecond'})}"
        answer = self._ask("POST", path, "")
        if answer.status not in (204, 400):
            raise Misconfigured(f"{self._settings.url} answers {answer.status} to a write: check INFLUX_TOKEN")

    def _json(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", *, missing_ok: bool = False
    ) -> Any:
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        answer = self._ask(method, path, text, kind)
        if missing_ok and answer.status == 404:
            return {}
        if answer.status >= 300:
            asked, text = f"{method} {path.partition('?')[0]}", self._clean(answer.data.decode(errors="replace"))
            raise Misconfigured(f"InfluxDB at {self._settings.url} answers {answer.status} to {asked}: {text}")
        return answer.json() if answer.data else {}

    def _ask(self, method: str, path: str, body: str | None = None, kind: str = "text/plain") -> BaseHTTPResponse:
        url = self._settings.url
        headers = {"Authorization": f"Token {self._token}", "Content-Type": kind}
        try:
            answer = self._http.request(method, url + path, body=body, headers=headers, redirect=False)
        except HTTPError as error:
            why = str(error.args[-1]) if error.args else str(error)  # the others are objects
            raise Retry(f"InfluxDB at {url} not reached: {self._clean(why)}") from None
        if answer.status in (401, 403):
            raise Misconfigured(f"InfluxDB at {url} answers {answer.status}: check INFLUX_TOKEN and its rights")
        if answer.status == 429 or answer.status >= 500:
            raise Retry(f"InfluxDB at {url} answers {answer.status}")
        return answer

    def _clean(self, text: str) -> str:
        return text.replace(self._token, "***").strip()[:300]


def _quoted(name: str) -> str:
    """An identifier of InfluxQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _hours(duration: str) -> float:
    """Go's duration as version 1 prints it: `720h0m0s`; `0s` is for ever."""
    return float(duration.partition("h")[0]) if "h" in duration else 0.0
