"""libvirt's event loop: keeps connections alive and reports domains whose XML has changed.

Without the loop keepalive is unavailable, and a dead daemon is noticed at the next call at best.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final

from producers.libvirt.connection import LibvirtModule, VirConnect, VirDomain

KEEPALIVE: Final = (3, 3)
"""Seconds between probes of an idle connection, and how many may go unanswered: dead after 12 s."""
EVENTS: Final = (
    "VIR_DOMAIN_EVENT_ID_LIFECYCLE",
    "VIR_DOMAIN_EVENT_ID_DEVICE_ADDED",
    "VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED",
    "VIR_DOMAIN_EVENT_ID_METADATA_CHANGE",
)
"""By name, because an older binding lacks the newer ones."""


def start(libvirt: LibvirtModule) -> None:
    """Runs the event loop in a thread, for all connections opened from now on."""
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, daemon=True, name="libvirt-events").start()


def watch(libvirt: LibvirtModule, handle: VirConnect, on_change: Callable[[str], None]) -> Callable[[], None]:
    """Keeps a new connection alive and subscribes to changes of its domains' XML.

    Events that the driver or the daemon does not support are skipped: devices are then read again when the statistics
    name others, and when the cache expires.

    Args:
        libvirt: The libvirt module.
        handle: The connection.
        on_change: Called with the UUID of each domain whose XML may have changed, in the event loop's thread.

    Returns:
        A function that unsubscribes. Call it before closing: a connection with registered events does not close.
    """

    def handle_event(_connection: VirConnect, domain: VirDomain, *_: object) -> None:
        on_change(domain.UUIDString())

    callback_ids = []
    with contextlib.suppress(libvirt.libvirtError):
        handle.setKeepAlive(*KEEPALIVE)
    for name in EVENTS:
        with contextlib.suppress(AttributeError, libvirt.libvirtError):
            callback_ids.append(handle.domainEventRegisterAny(None, getattr(libvirt, name), handle_event, None))

    def unsubscribe() -> None:
        for callback_id in callback_ids:
            with contextlib.suppress(libvirt.libvirtError):
                handle.domainEventDeregisterAny(callback_id)

    return unsubscribe
