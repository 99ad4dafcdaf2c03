"""Authorization: requests that change something need the bearer token."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, cast

from fastapi import Depends, HTTPException, params
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from runtime.settings import check_secret

BEARER: Final = HTTPBearer(auto_error=False, description="RACKSTREAM_API_TOKEN, or `api-token` in the data directory")
TokenCheck = params.Depends
"""An entry of the `dependencies` of a route."""


def require_token(token: SecretStr) -> TokenCheck:
    """Returns a dependency of routes that change something: 401 without the token.

    Raises:
        ValueError: The token is empty.
    """
    secret = check_secret(token).get_secret_value().encode()

    def check(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        # As bytes, because compare_digest raises for str with characters beyond ASCII.
        if credentials is None or not secrets.compare_digest(credentials.credentials.encode(), secret):
            raise HTTPException(401, "a bearer token is needed: RACKSTREAM_API_TOKEN", {"WWW-Authenticate": "Bearer"})

    return cast("params.Depends", Depends(check))
