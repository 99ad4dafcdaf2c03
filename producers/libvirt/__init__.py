"""libvirt producer: all active domains of one connection per poll. Importable without libvirt-python.

What it offers is imported when it is asked for: the process that holds a connection needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producers.libvirt.connector import LibvirtReader
    from producers.libvirt.kvm import KVMConnector
    from producers.targets import LibvirtTarget

__all__ = ["KVMConnector", "LibvirtReader", "reader"]


def reader(target: LibvirtTarget, interval_s: float) -> LibvirtReader:
    """The reader of one target, not yet connected. `interval_s`: seconds between polls where the target says none.

    Raises:
        Misconfigured: libvirt-python is not installed.
    """
    from producers.libvirt.connection import require
    from producers.libvirt.connector import LibvirtReader
    from producers.libvirt.isolation import SOFT_S, Limits
    from producers.libvirt.settings import LibvirtSettings

    require()
    settings, interval_s = LibvirtSettings.read(), target.interval or interval_s
    limits = Limits(min(SOFT_S, interval_s), settings.libvirt_timeout, settings.device_cache_ttl)
    return LibvirtReader(target, interval_s, limits)


def __getattr__(name: str) -> Any:
    if name == "KVMConnector":
        from producers.libvirt.kvm import KVMConnector

        return KVMConnector
    if name == "LibvirtReader":
        from producers.libvirt.connector import LibvirtReader

        return LibvirtReader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
