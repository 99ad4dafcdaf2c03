"""Settings of the libvirt source."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runtime.settings import Settings


class LibvirtSettings(Settings):
    """Defaults of constructor arguments."""

    device_cache_ttl: Annotated[float, Field(validation_alias="DEVICE_CACHE_TTL", ge=0)] = 300.0
    """Seconds for which a domain's device list is cached."""
    libvirt_timeout: Annotated[float, Field(validation_alias="LIBVIRT_TIMEOUT", gt=0)] = 30.0
    """Maximum seconds for opening a connection, or for one call."""
