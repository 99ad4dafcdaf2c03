"""libvirt producer: all active domains of one connection per poll. Importable without libvirt-python.

What it offers is imported when it is asked for: the process that holds a connection needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producers.fleet.config import LibvirtTarget
    from producers.libvirt.reader import LibvirtReader
    from producers.libvirt.scripting.kvm_connector import KVMConnector

__all__ = ["KVMConnector", "LibvirtReader", "create_reader"]


def create_reader(target: LibvirtTarget, interval_s: float) -> LibvirtReader:
    """The reader of one target, not yet connected. `interval_s`: seconds between polls where the target says none.

    Raises:
        Misconfigured: libvirt-python is not installed.
    """
    from producers.libvirt.connection import require
    from producers.libvirt.reader import LibvirtReader
    from producers.libvirt.settings import LibvirtSettings
    from producers.libvirt.worker.supervisor import SOFT_S, Limits

    require()
    settings, interval_s = LibvirtSettings.read(), target.interval or interval_s
    limits = Limits(min(SOFT_S, interval_s), settings.libvirt_timeout, settings.device_cache_ttl)
    return LibvirtReader(target, interval_s, limits)


def __getattr__(name: str) -> Any:
    if name == "KVMConnector":
        from producers.libvirt.scripting.kvm_connector import KVMConnector

        return KVMConnector
    if name == "LibvirtReader":
        from producers.libvirt.reader import LibvirtReader

        return LibvirtReader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
