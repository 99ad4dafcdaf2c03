"""Sessions of one BMC that nobody uses any more: deleted when there is a way in. Nothing else ever is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from producers.redfish.http.base_url import Origin
from producers.redfish.http.errors import Fault, Missing
from producers.redfish.http.transport import Answer

Ask = Callable[[str, str, Mapping[str, str], bytes | None, float], Answer]
"""Method, path, headers, body and deadline → the answer; raises Fault."""
MOST: Final = 4
"""BMCs forget sessions by themselves, after half an hour or so: the newest matter."""


class Leftovers:
    """By path, oldest first. Used under the login's lock."""

    def __init__(self, origin: Origin, ask: Ask, first: str | None) -> None:
        self._origin = origin
        self._ask = ask
        self._paths: tuple[str, ...] = ()
        self._by_basic = True
        self.add(first)

    @property
    def first(self) -> str | None:
        """One that is still to be deleted."""
        return self._paths[0] if self._paths else None

    def add(self, link: str | None) -> None:
        """Notes a session. A link to anything else is left alone: it may have come a long way to us."""
        try:
            path = self._origin.path(link or "")
        except Missing:
            return
        parts = path.split("/")
        if "Sessions" in parts[1:-1] and ".." not in parts and not {"?", "%"} & set(path):
            self._paths = tuple(dict.fromkeys((*self._paths, path)))[-MOST:]

    def delete(self, headers: Mapping[str, str], deadline_s: float, *, by_basic: bool) -> None:
        """Deletes them, authorised by `headers`; failures harm nothing, and those the BMC did not hear of stay."""
        for path in self._paths:
            if by_basic and not self._by_basic:
                return
            status = self._status(path, headers, deadline_s)
            if by_basic and status == HTTPStatus.UNAUTHORIZED:
                self._by_basic = False  # a refusal counts towards the lock of the account: not tried again
            elif status is not None:
                self._paths = tuple(each for each in self._paths if each != path)

    def _status(self, path: str, headers: Mapping[str, str], deadline_s: float) -> int | None:
        """What the BMC says to the deletion of a session; None: it could not be told."""
        try:
            return self._ask("DELETE", path, headers, None, deadline_s).status
        except Fault:
            return None
