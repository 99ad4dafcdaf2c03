"""Settings of `rackstream serve`, and its API token."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import AfterValidator, Field, SecretStr

from runtime.errors import Misconfigured
from runtime.private_files import make_private_directory
from runtime.settings import Settings, check_secret

log = structlog.get_logger()
MIN_TOKEN_LENGTH: Final = 16
"""Minimum length of the API token."""


class ConsoleSettings(Settings):
    """`rackstream serve`."""

    host: Annotated[str, Field(validation_alias="RACKSTREAM_CONSOLE_HOST", min_length=1)] = "127.0.0.1"
    """Address to listen on. Reading needs no token: use another address only where others cannot reach it, as in a
    container whose port is published on loopback."""
    port: Annotated[int, Field(validation_alias="RACKSTREAM_CONSOLE_PORT")] = 8000
    """Port to listen on."""
    names: Annotated[str, Field(validation_alias="RACKSTREAM_CONSOLE_NAMES")] = ""
    """Host names of the console, comma-separated, besides addresses and names without a dot; `*`: any. Requests for
    other names are rejected, which keeps out scripts of other sites."""
    back_s: Annotated[float, Field(validation_alias="RACKSTREAM_CONSOLE_BACK", ge=1, le=86400)] = 180.0
    """Seconds of readings to read back at start-up; readings taken less often appear as they arrive."""
    token: Annotated[
        SecretStr | None,
        AfterValidator(lambda token: token if token is None else check_secret(token, MIN_TOKEN_LENGTH)),
        Field(validation_alias="RACKSTREAM_API_TOKEN"),
    ] = None
    """Bearer token of requests that change something, at least 16 characters; unset: one is generated and kept in the
    data directory."""


def read_token(settings: ConsoleSettings, data_dir: Path) -> SecretStr:
    """Returns the configured token, or the one in `<data_dir>/api-token`, generated at the first start with mode 0600.

    Raises:
        Misconfigured: The token in the file is empty or short, or the file is readable by others.
    """
    if settings.token is not None:
        return settings.token
    path = data_dir / "api-token"
    make_private_directory(data_dir)
    _create_token_file(path)
    if path.stat().st_mode & 0o077:
        raise Misconfigured(f"{path} is readable by others: chmod 600 it, or delete it to have a new one generated")
    try:
        return check_secret(SecretStr(path.read_text()), MIN_TOKEN_LENGTH)
    except ValueError as error:
        problem = str(error).partition(";")[0]
        raise Misconfigured(
            f"{path}: {problem}. Delete it to have a new one generated, or set RACKSTREAM_API_TOKEN"
        ) from None


def _create_token_file(path: Path) -> None:
    """Creates the file atomically, unless it exists: other processes never see it without its content."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(temporary, path)
    except FileExistsError:
        return  # another console was first: its token counts
    else:
        log.info("API token created", path=str(path))
    finally:
        temporary.unlink()
