"""libvirt producer: all active domains of one connection per poll. Importable without libvirt-python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.libvirt.connection import library
from producers.libvirt.connector import LibvirtReader
from producers.libvirt.kvm import KVMConnector, LibvirtSettings

if TYPE_CHECKING:
    from producers.targets import LibvirtTarget

__all__ = ["KVMConnector", "LibvirtReader", "reader"]


def reader(target: LibvirtTarget, interval_s: float) -> LibvirtReader:
    """The reader of one target, not yet connected. `interval_s`: seconds between polls where the target says none.

    Raises:
        Misconfigured: libvirt-python is not installed.
    """
    ttl_s = LibvirtSettings.read().device_cache_ttl
    return LibvirtReader(target, target.interval or interval_s, library(), device_cache_ttl_s=ttl_s)
