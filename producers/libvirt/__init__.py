"""libvirt producer: reads all active domains of one connection per poll.

Importable without libvirt-python.

Names are imported on first access, because the worker process needs none of them and must start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from producers.fleet.targets import LibvirtTarget
    from producers.libvirt.reader import LibvirtReader
    from producers.libvirt.scripting.kvm_connector import KVMConnector

__all__ = ["KVMConnector", "LibvirtReader", "create_reader"]


def create_reader(target: LibvirtTarget, interval_s: float) -> LibvirtReader:
    """Creates the reader of one target, not yet connected.

    Args:
        target: The target.
        interval_s: Seconds between polls if the target does not set its own.

    Raises:
        Misconfigured: libvirt-python is not installed.
    """
    from producers.libvirt.connection import require_libvirt
    from producers.libvirt.reader import LibvirtReader
    from producers.libvirt.settings import LibvirtSettings
    from producers.libvirt.worker.supervisor import SOFT_TIMEOUT_S, WorkerLimits

    require_libvirt()
    settings, interval_s = LibvirtSettings.read(), target.interval or interval_s
    limits = WorkerLimits(min(SOFT_TIMEOUT_S, interval_s), settings.libvirt_timeout, settings.device_cache_ttl)
    return LibvirtReader(target, interval_s, limits)


def __getattr__(name: str) -> object:
    if name == "KVMConnector":
        from producers.libvirt.scripting.kvm_connector import KVMConnector

        return KVMConnector
    if name == "LibvirtReader":
        from producers.libvirt.reader import LibvirtReader

        return LibvirtReader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
