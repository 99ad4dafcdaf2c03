"""External processes to be measured: builds peers with scripts, reads CPU and memory from /proc, terminates."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLOCK_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


NO_PEERS = "RACKSTREAM_BENCH_NO_PEERS"
"""If this variable is set, no peers are built or run."""


class MissingPeer(RuntimeError):
    """A peer is not available on this machine; the message gives the reason."""


def build_peer(script: str, *arguments: str) -> str:
    """Runs a script that builds or installs a peer; returns the path that it prints.

    Raises:
        MissingPeer: It could not be built, or peers are disabled.
    """
    require_peers()
    command = [str(ROOT / "scripts" / script), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingPeer(f"{script}: {error}") from error
    if done.returncode:
        raise MissingPeer(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{script} failed")
    return done.stdout.strip()


def exit_on_sigterm() -> None:
    """Turns SIGTERM into SystemExit, so that a terminated program terminates its child processes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def require_peers() -> None:
    """Checks that peers are enabled.

    Raises:
        MissingPeer: `NO_PEERS` is set.
    """
    if os.environ.get(NO_PEERS):
        raise MissingPeer(f"{NO_PEERS} is set")


def cpu_s(pid: int) -> float:
    """Returns user and system time of a process, its threads and its finished children, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) * CLOCK_TICK_S


def rss_mib(pid: int) -> float:
    """Returns the peak resident memory of a process, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminates a process, and kills it if it has not ended after 30 s."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()
    process.wait()
