"""Kills a sink (-9) again and again while records keep coming."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable

from runtime.settings import KafkaSettings
from schemas.testing import make_raw_record
from tests.e2e.support import parts

HOSTS = 4
ROUND_S = 0.1
"""Between two loads of 50 records of each host: more comes than a killed sink has taken, until the last kill."""


def killed_under_load(
    kafka: KafkaSettings, start: Callable[[], subprocess.Popen[bytes]], stored: Callable[[], int], kills: int
) -> set[tuple[str, int]]:
    """The facts (host, load_1) put on `raw-host` by the end of it; the last process was killed, too.

    Args:
        kafka: where the records go.
        start: starts the sink.
        stored: how much it has stored, which has to grow before it is killed.
        kills: how often.
    """
    enough, made = threading.Event(), [0]
    load = threading.Thread(target=_publish, args=(kafka, enough, made))
    load.start()
    try:
        for _ in range(kills):
            process = start()
            try:
                before = stored()
                parts.until(lambda before=before: stored() > before, every_s=0.01)
                threading.Event().wait(random.uniform(0, 0.3))  # the moment is not to be a chosen one
            finally:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
    finally:
        enough.set()
        load.join()
    return {(f"h{host}", n) for host in range(HOSTS) for n in range(made[0])}


def _publish(kafka: KafkaSettings, enough: threading.Event, made: list[int]) -> None:
    while not enough.wait(ROUND_S):
        parts.publish(
            kafka, "raw-host",
            *(make_raw_record("HostSample", at_s=n, host=f"h{host}", category="host", load_1=float(n), sequence=n,
                  fans=[{"sensor": "f", "speed_rpm": 100.0}])
              for n in range(made[0], made[0] + 50) for host in range(HOSTS)),
        )  # fmt: skip
        made[0] += 50
