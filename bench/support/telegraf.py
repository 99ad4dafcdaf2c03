"""Telegraf as a collector: runs it and measures its CPU and memory per gathering."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.support.external_process import build_peer, cpu_s, rss_mib, terminate

WARM_UP_S = 3.0
AGENT = """[agent]
  interval = "{interval_s}s"
  round_interval = false
  flush_interval = "{interval_s}s"
  metric_buffer_limit = 200000
  omit_hostname = true
  logfile = "{folder}/log"
[[outputs.file]]
  files = ["{folder}/lines"]
  data_format = "influx"
"""


def redfish(url: str, username: str, password: str, system: str) -> str:
    """Returns the input section for thermal and power of one System of a BMC."""
    return f"""[[inputs.redfish]]
  address = "{url}"
  username = "{username}"
  password = "{password}"
  computer_system_id = "{system}"
  include_metrics = ["power", "thermal"]
"""


def libvirt(uri: str) -> str:
    """Returns the input section for the same bulk statistics groups as the producer's reader."""
    return f"""[[inputs.libvirt]]
  libvirt_uri = "{uri}"
  statistics_groups = ["state", "cpu_total", "balloon", "vcpu", "interface", "block"]
"""


def gather_once(inputs: Sequence[str]) -> int:
    """Gathers once and returns the number of lines.

    Raises:
        MissingPeer: There is no Telegraf.
    """
    with TemporaryDirectory(prefix="rackstream-bench-") as name:
        config = _config(Path(name), inputs, 1.0)
        command = [build_peer("get-telegraf"), "--config", config, "--once"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        lines = Path(name, "lines")
        if done.returncode or not lines.exists():
            log = Path(name, "log")
            raise RuntimeError(f"telegraf --once: {log.read_text() if log.exists() else done.stderr}")
        return lines.read_bytes().count(b"\n")


def measure_gathering(
    inputs: Sequence[str], interval_s: float, seconds: float, done: Callable[[], float], folder: Path
) -> dict[str, float]:
    """Measures Telegraf while it gathers every `interval_s`; `done` returns the amount of work done so far.

    Raises:
        MissingPeer: There is no Telegraf.
    """
    with _running(folder, inputs, interval_s) as process:
        time.sleep(WARM_UP_S)
        began_cpu_s, began = cpu_s(process.pid), done()
        time.sleep(seconds)
        used, count = cpu_s(process.pid) - began_cpu_s, done() - began
        if not count:
            raise RuntimeError(f"telegraf gathered nothing: {(folder / 'log').read_text()[-2000:]}")
        return {"cpu_s": used, "done": count, "rss_mib": rss_mib(process.pid)}


def _config(folder: Path, inputs: Sequence[str], interval_s: float) -> str:
    path = folder / "telegraf.conf"
    path.write_text(AGENT.format(folder=folder, interval_s=interval_s) + "".join(inputs))
    return str(path)


@contextmanager
def _running(folder: Path, inputs: Sequence[str], interval_s: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [build_peer("get-telegraf"), "--config", _config(folder, inputs, interval_s)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        terminate(process)
