"""Main of `rackstream sink`: runs one sink on Kafka until it is stopped."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from typing import Final

from confluent_kafka.admin import ClusterMetadata

from runtime.observability import export_disk_usage, notify
from runtime.private_files import allow_group
from runtime.settings import KafkaSettings
from runtime.startup import prepare
from sinks.consuming import loop
from sinks.registry import SINKS

M_ARENA_MAX: Final = -8
"""Option of `mallopt`, from glibc's malloc.h."""


def run(
    kind: str,
    settings: KafkaSettings,
    stop: threading.Event,
    name: str | None = None,
    *,
    metadata: ClusterMetadata | None = None,
) -> None:
    """Runs a sink until `stop` is set.

    Args:
        kind: A key of `SINKS`.
        settings: Where Kafka is.
        stop: Ends the sink, after it has stored what was produced until then.
        name: Distinguishes several sinks of one kind.
        metadata: Cluster metadata, if the check of the ACLs has already fetched it.

    Raises:
        Misconfigured: Settings or topics are missing.
    """
    _limit_malloc_arenas()
    spec = SINKS[kind]
    if spec.directory is not None and not spec.directory(settings).is_relative_to(settings.data_dir):
        allow_group()  # its directory was chosen for others to read
    sink, limits = spec.create(settings, name)
    if spec.directory is not None:
        export_disk_usage(kind, spec.directory(settings))
    prepare(settings, schemas=("DeadLetter",), metadata=metadata)
    if spec.prepare_group is not None:
        spec.prepare_group(settings, spec.group(name))
    # Records are trees without cycles: the collector would find nothing in them, at a tenth of the CPU time.
    gc.set_threshold(50_000, 20, 100)
    loop.run(
        sink,
        settings,
        group=spec.group(name),
        limits=limits,
        stop=stop,
        ready=lambda: notify("READY=1"),
        static_member=spec.is_static_member,
    )


def _limit_malloc_arenas() -> None:
    """Limits glibc to two malloc arenas, before threads start.

    By default it creates up to eight per core, and each keeps tens of MiB that the threads of librdkafka and of the
    writers have freed; a sink that catches up on a backlog would fill one after the other.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
