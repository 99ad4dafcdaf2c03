"""Who may change something: whoever knows the token."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

BEARER: Final = HTTPBearer(auto_error=False, description="RACKSTREAM_API_TOKEN, or `api-token` in the data directory")
Allowed = Any
"""What FastAPI's `dependencies` take."""


def needs(expected: SecretStr) -> Allowed:
    """A dependency of routes that change something: 401 without the token."""
    wanted = expected.get_secret_value().encode()

    def authorised(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        # As bytes: a comparison of texts raises on letters beyond ASCII.
        if given is None or not secrets.compare_digest(given.credentials.encode(), wanted):
            raise HTTPException(401, "a bearer token is needed: RACKSTREAM_API_TOKEN", {"WWW-Authenticate": "Bearer"})

    return Depends(authorised)
