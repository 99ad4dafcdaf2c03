"""Restricts links to one BMC's scheme, host and port, and normalizes them to request paths. Pure: no I/O."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from producers.redfish.http.errors import ResourceMissing

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
SAFE_CHARACTERS: Final = "/%:@!$&'()*+,;=~"
"""Characters of a path that are not quoted."""


class BaseUrl:
    """Scheme, host and port of one BMC."""

    def __init__(self, address: str) -> None:
        self.url = address.rstrip("/")
        self._origin = _origin(self.url)

    def path(self, link: str) -> str:
        """Returns path and query of a link to this BMC, rebuilt because URL parsers disagree about malformed ones.

        Raises:
            ResourceMissing: The link leads to another host, or is malformed.
        """
        try:
            parts = urlsplit(link)
            is_foreign = (parts.scheme or parts.netloc) and _origin(link) != self._origin
        except ValueError:
            raise ResourceMissing("link is no URL") from None
        if is_foreign:
            raise ResourceMissing("link to another origin, not followed")
        if not parts.path.startswith("/"):
            raise ResourceMissing("link is no path")
        path = quote(parts.path, safe=SAFE_CHARACTERS)
        return f"{path}?{quote(parts.query, safe=SAFE_CHARACTERS + '?')}" if parts.query else path

    def redirect_path(self, path: str, location: str) -> str:
        """Returns the path that a redirect from `path` leads to.

        Raises:
            ResourceMissing: The redirect leads to another host, or is malformed.
        """
        try:
            return self.path(urljoin(self.url + path, location))
        except ValueError:
            raise ResourceMissing("link is no URL") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)
