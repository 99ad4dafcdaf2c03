"""libvirt's event loop: keepalive of connections, and events that say when a domain's XML is another. I/O.

Without a loop, keepalive is refused and a dead daemon is noticed at the next call only, or never.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final

KEEPALIVE: Final = (3, 3)
"""Seconds between probes of an idle connection, and how many may go unanswered: dead after 12 s."""
EVENTS: Final = (
    "VIR_DOMAIN_EVENT_ID_LIFECYCLE",
    "VIR_DOMAIN_EVENT_ID_DEVICE_ADDED",
    "VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED",
    "VIR_DOMAIN_EVENT_ID_METADATA_CHANGE",
)
"""Names, for an older binding lacks the newer ones."""


def start(libvirt: Any) -> None:
    """Runs the event loop in a thread, for all connections opened from now on."""
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, daemon=True, name="libvirt-events").start()


def watch(libvirt: Any, handle: Any, changed: Callable[[str], None]) -> Callable[[], None]:
    """Keeps a new connection alive and tells `changed` the UUIDs of domains whose XML may be another, from now on.

    What the driver or the daemon does not offer is done without: devices are then had anew when figures name others,
    and after their time to live. Returns what ends it: while an event is registered, a connection does not close.
    """

    def tell(_connection: Any, domain: Any, *_: Any) -> None:
        changed(domain.UUIDString())

    registered = []
    with contextlib.suppress(libvirt.libvirtError):
        handle.setKeepAlive(*KEEPALIVE)
    for name in EVENTS:
        with contextlib.suppress(AttributeError, libvirt.libvirtError):
            registered.append(handle.domainEventRegisterAny(None, getattr(libvirt, name), tell, None))

    def stop() -> None:
        for number in registered:
            with contextlib.suppress(libvirt.libvirtError):
                handle.domainEventDeregisterAny(number)

    return stop
