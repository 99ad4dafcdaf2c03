"""A `requests` session on top of `RedfishClient`, for the scripting API. The fleet's readers do not use it."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from producers.redfish.http.client import DEFAULT_HEADERS, RedfishClient
from producers.redfish.http.errors import RedfishError

DEFAULT_TIMEOUT_S: Final = 30.0
"""Time-out of a request without `timeout`."""
OUTDATED_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that no longer apply once the body was read and decoded."""


class ClientAdapter(HTTPAdapter):
    """Transport adapter that sends through a client: with its login, to its BMC only, within its concurrency limit."""

    def __init__(self, client: RedfishClient) -> None:
        super().__init__()
        self._client = client

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002  the signature of requests
        timeout: Any = None,
        verify: bool | str = True,  # noqa: ARG002, FBT001, FBT002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Sends a request and returns the response with its body read.

        Raises:
            requests.ConnectionError: There is no response.
        """
        timeout_s = timeout[1] if isinstance(timeout, tuple) else timeout
        deadline_s = time.monotonic() + (DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {name: value for name, value in request.headers.items() if name != "Connection"}
        try:
            response = self._client.request(request.method or "GET", request.url or "", deadline_s, headers, body)
        except RedfishError as error:
            raise requests.ConnectionError(str(error), request=request) from None
        raw = urllib3.HTTPResponse(
            io.BytesIO(response.body),
            headers={name: value for name, value in response.headers.items() if name.lower() not in OUTDATED_HEADERS},
            status=response.status,
            preload_content=False,
        )
        return self.build_response(request, raw)


def create_session(client: RedfishClient) -> requests.Session:
    """Returns a session that only sends requests to this client's BMC."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update(DEFAULT_HEADERS)
    session.auth = _unchanged  # else a user in a URL would log in instead
    for scheme in ("http://", "https://"):
        session.mount(scheme, ClientAdapter(client))
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
