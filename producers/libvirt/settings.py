"""Settings of the libvirt source, under the seeds' names."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runtime.settings import Settings


class LibvirtSettings(Settings):
    """Read where a constructor is told nothing."""

    device_cache_ttl: Annotated[float, Field(validation_alias="DEVICE_CACHE_TTL", ge=0)] = 300.0
    """Seconds for which a domain's device list is believed."""
    libvirt_timeout: Annotated[float, Field(validation_alias="LIBVIRT_TIMEOUT", gt=0)] = 30.0
    """Seconds that opening a connection, or one call, may take at most."""
