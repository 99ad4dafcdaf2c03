"""Authorization: requests that change something need the bearer token."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, cast

from fastapi import Depends, HTTPException, Request, params
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from rackstream.access.client_limit import ClientLimit
from runtime.settings import check_secret

BEARER: Final = HTTPBearer(auto_error=False, description="RACKSTREAM_API_TOKEN, or `api-token` in the data directory")
MAX_FAILURES: Final = 10
FAILURE_WINDOW_S: Final = 30.0
"""After `MAX_FAILURES` wrong tokens of a client within this time, it gets 429 until it is over."""
TokenCheck = params.Depends
"""An entry of the `dependencies` of a route."""


def require_token(token: SecretStr) -> TokenCheck:
    """Returns a dependency of routes that change something: 401 without the token, 429 after too many wrong ones.

    Raises:
        ValueError: The token is empty.
    """
    secret = check_secret(token).get_secret_value().encode()

    failures = ClientLimit(MAX_FAILURES, FAILURE_WINDOW_S)

    def check(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        address = request.client.host if request.client else ""
        if failures.is_exceeded(address):
            raise HTTPException(429, "too many wrong tokens", {"Retry-After": f"{FAILURE_WINDOW_S:.0f}"})
        # As bytes, because compare_digest raises for str with characters beyond ASCII.
        if credentials is None or not secrets.compare_digest(credentials.credentials.encode(), secret):
            if credentials is not None:
                failures.record(address)
            raise HTTPException(401, "a bearer token is needed: RACKSTREAM_API_TOKEN", {"WWW-Authenticate": "Bearer"})

    return cast("params.Depends", Depends(check))
