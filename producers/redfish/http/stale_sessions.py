"""Sessions of one BMC that are no longer used, and their deletion. Nothing else is ever deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from producers.redfish.http.base_url import BaseUrl
from producers.redfish.http.errors import RedfishError, ResourceMissing
from producers.redfish.http.transport import HttpResponse

SendRequest = Callable[[str, str, Mapping[str, str], bytes | None, float], HttpResponse]
"""(method, path, headers, body, deadline) → response; raises `RedfishError`."""
MAX_STALE_SESSIONS: Final = 4
"""Older ones are dropped: BMCs end unused sessions by themselves after half an hour or so."""


class StaleSessions:
    """Session URIs to delete, oldest first. Used under the lock of `SessionManager`."""

    def __init__(self, base_url: BaseUrl, send: SendRequest, inherited_uri: str | None) -> None:
        self._base_url = base_url
        self._send = send
        self._paths: tuple[str, ...] = ()
        self._basic_accepted = True
        self.add(inherited_uri)

    @property
    def oldest(self) -> str | None:
        """Path of a session that is still to be deleted."""
        return self._paths[0] if self._paths else None

    def add(self, link: str | None) -> None:
        """Adds a session. Links to anything else are ignored: the URI comes from Kafka, or from the BMC."""
        try:
            path = self._base_url.path(link or "")
        except ResourceMissing:
            return
        parts = path.split("/")
        if "Sessions" in parts[1:-1] and ".." not in parts and not {"?", "%"} & set(path):
            self._paths = tuple(dict.fromkeys((*self._paths, path)))[-MAX_STALE_SESSIONS:]

    def delete(self, headers: Mapping[str, str], deadline_s: float, *, with_basic: bool) -> None:
        """Deletes the sessions, authorized by `headers`. Sessions stay listed if the BMC did not respond."""
        for path in self._paths:
            if with_basic and not self._basic_accepted:
                return
            status = self._delete_one(path, headers, deadline_s)
            if with_basic and status == HTTPStatus.UNAUTHORIZED:
                self._basic_accepted = False  # not tried again: refusals count towards the lock of the account
            elif status is not None:
                self._paths = tuple(other for other in self._paths if other != path)

    def _delete_one(self, path: str, headers: Mapping[str, str], deadline_s: float) -> int | None:
        """Deletes a session. Returns the HTTP status, or None without a response."""
        try:
            return self._send("DELETE", path, headers, None, deadline_s).status
        except RedfishError:
            return None
