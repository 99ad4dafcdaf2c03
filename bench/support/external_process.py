"""Processes that are measured from outside: built by a script, started, looked at in /proc, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


NO_PEERS = "RACKSTREAM_BENCH_NO_PEERS"
"""A variable: where it is set, nothing of others is built or run."""


class Missing(RuntimeError):
    """A peer that cannot be had here. The message says why."""


def built(script: str, *arguments: str) -> str:
    """The path that a script prints.

    Raises:
        Missing: why there is none.
    """
    wanted()
    command = [ROOT / "scripts" / script, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{script}: {error}") from error
    if done.returncode:
        raise Missing(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{script} failed")
    return done.stdout.strip()


def orderly() -> None:
    """Makes SIGTERM an exception, so that a program that is ended ends what it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def wanted() -> None:
    """Where peers are to be left out:

    Raises:
        Missing: always.
    """
    if os.environ.get(NO_PEERS):
        raise Missing(f"{NO_PEERS} is set")


def cpu_s(pid: int) -> float:
    """User and system time of a process with all its threads, and of its children that ended, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) * TICK_S


def rss_mib(pid: int) -> float:
    """Peak resident memory, MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks a process to end, and ends it if it does not within 30 s."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()
    process.wait()
