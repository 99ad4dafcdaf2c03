"""A `requests` session over our client, for scripts: the collector's `session`. The fleet's source does without."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from producers.redfish.http.client import USUAL, Client
from producers.redfish.http.errors import Fault

REQUEST_S: Final = 30.0
"""For one request that names no `timeout`."""
UNPACKED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that are no longer true of a body that was read."""


class ClientAdapter(HTTPAdapter):
    """Sends by a client: logged in, at its own BMC only, as many at once as that takes."""

    def __init__(self, client: Client) -> None:
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
        """The answer, its body read.

        Raises:
            requests.ConnectionError: there is none.
        """
        limit_s = timeout[1] if isinstance(timeout, tuple) else timeout
        deadline_s = time.monotonic() + (REQUEST_S if limit_s is None else limit_s)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {name: value for name, value in request.headers.items() if name != "Connection"}
        try:
            answer = self._client.request(request.method or "GET", request.url or "", deadline_s, headers, body)
        except Fault as fault:
            raise requests.ConnectionError(str(fault), request=request) from None
        raw = urllib3.HTTPResponse(
            io.BytesIO(answer.body),
            headers={name: value for name, value in answer.headers.items() if name.lower() not in UNPACKED},
            status=answer.status,
            preload_content=False,
        )
        return self.build_response(request, raw)


def session_of(client: Client) -> requests.Session:
    """A session that only talks to this client's BMC."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update(USUAL)
    session.auth = _as_it_is  # else a user in a URL would be logged in instead
    for scheme in ("http://", "https://"):
        session.mount(scheme, ClientAdapter(client))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
