"""Which links are a BMC's own, and how they are asked for. Pure: no I/O."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from producers.redfish.http.errors import Missing

PORTS: Final = {"http": 80, "https": 443}
SAFE: Final = "/%:@!$&'()*+,;=~"
"""What may stand in a path as it is."""


class Origin:
    """Scheme, host and port of one BMC."""

    def __init__(self, address: str) -> None:
        self.url = address.rstrip("/")
        self._own = _origin(self.url)

    def path(self, link: str) -> str:
        """Path and query of a link of this origin, built anew: parsers disagree on who is meant by odd ones.

        Raises:
            Missing: the link is another origin's, or no link.
        """
        try:
            parts = urlsplit(link)
            stranger = (parts.scheme or parts.netloc) and _origin(link) != self._own
        except ValueError:
            raise Missing("link is no URL") from None
        if stranger:
            raise Missing("link to another origin, not followed")
        if not parts.path.startswith("/"):
            raise Missing("link is no path")
        path = quote(parts.path, safe=SAFE)
        return f"{path}?{quote(parts.query, safe=SAFE + '?')}" if parts.query else path

    def moved(self, path: str, location: str) -> str:
        """Where a redirect leads.

        Raises:
            Missing: elsewhere.
        """
        try:
            return self.path(urljoin(self.url + path, location))
        except ValueError:
            raise Missing("link is no URL") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
