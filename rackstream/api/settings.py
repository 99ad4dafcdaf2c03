"""Settings of `rackstream serve`, and the token of what changes something."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import Field, SecretStr

from runtime.errors import Misconfigured
from runtime.settings import Settings

log = structlog.get_logger()


class ConsoleSettings(Settings):
    """`rackstream serve`."""

    host: Annotated[str, Field(validation_alias="RACKSTREAM_CONSOLE_HOST", min_length=1)] = "127.0.0.1"
    """Address to listen on. Reading asks for no token: another one only where others cannot reach it, as in a
    container whose port is published on loopback."""
    port: Annotated[int, Field(validation_alias="RACKSTREAM_CONSOLE_PORT")] = 8000
    """Port to listen on."""
    names: Annotated[str, Field(validation_alias="RACKSTREAM_CONSOLE_NAMES")] = ""
    """Host names that requests may ask for, with commas between them, besides addresses and names without a dot;
    `*`: any. Pages of other sites are kept out by it."""
    back_s: Annotated[float, Field(validation_alias="RACKSTREAM_CONSOLE_BACK", ge=1, le=86400)] = 180.0
    """Seconds that it looks back for readings when it starts; what is read more seldom shows as it comes."""
    token: Annotated[SecretStr | None, Field(validation_alias="RACKSTREAM_API_TOKEN")] = None
    """Bearer token of calls that change something; unset: one is made and kept in the data directory."""


def token(settings: ConsoleSettings, data_dir: Path) -> SecretStr:
    """The token that is set, or the one kept in `<data_dir>/api-token`, made at the first start with mode 0600.

    Raises:
        Misconfigured: the file is empty, or others may read it.
    """
    if settings.token is not None:
        return settings.token
    path = data_dir / "api-token"
    data_dir.mkdir(parents=True, exist_ok=True)
    _make(path)
    if path.stat().st_mode & 0o077:
        raise Misconfigured(f"{path} may be read by others: chmod 600 it, or delete it and a new one is made")
    kept = path.read_text().strip()
    if not kept:
        raise Misconfigured(f"{path} is empty: delete it and a new one is made, or set RACKSTREAM_API_TOKEN")
    return SecretStr(kept)


def _make(path: Path) -> None:
    """Makes the file with a token in it, unless it is there: whole from the first moment that others see it."""
    if path.exists():
        return
    aside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(aside, path)
    except FileExistsError:
        return  # another console was first: its token is the one
    else:
        log.info("API token made", path=str(path))
    finally:
        aside.unlink()
