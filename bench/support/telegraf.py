"""Telegraf as a collector: its gathers and what they take, from outside."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.support.external_process import built, cpu_s, end, rss_mib

WARM_S = 3.0
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
    """An input's section: the thermal and power resources of one BMC's System."""
    return f"""[[inputs.redfish]]
  address = "{url}"
  username = "{username}"
  password = "{password}"
  computer_system_id = "{system}"
  include_metrics = ["power", "thermal"]
"""


def libvirt(uri: str) -> str:
    """An input's section: the groups of the bulk call that our reader asks for."""
    return f"""[[inputs.libvirt]]
  libvirt_uri = "{uri}"
  statistics_groups = ["state", "cpu_total", "balloon", "vcpu", "interface", "block"]
"""


def once(inputs: Sequence[str]) -> int:
    """Gathers once; how many lines that makes.

    Raises:
        Missing: there is no Telegraf here.
    """
    with TemporaryDirectory(prefix="rackstream-bench-") as name:
        config = _config(Path(name), inputs, 1.0)
        command = [built("get-telegraf"), "--config", config, "--once"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        lines = Path(name, "lines")
        if done.returncode or not lines.exists():
            log = Path(name, "log")
            raise RuntimeError(f"telegraf --once: {log.read_text() if log.exists() else done.stderr}")
        return lines.read_bytes().count(b"\n")


def window(
    inputs: Sequence[str], interval_s: float, seconds: float, done: Callable[[], float], folder: Path
) -> dict[str, float]:
    """What it takes while it gathers every `interval_s`; `done` counts what has been done so far.

    Raises:
        Missing: there is no Telegraf here.
    """
    with _running(folder, inputs, interval_s) as process:
        time.sleep(WARM_S)
        began_cpu_s, began = cpu_s(process.pid), done()
        time.sleep(seconds)
        used, count = cpu_s(process.pid) - began_cpu_s, done() - began
        if not count:
            raise RuntimeError(f"telegraf gathers nothing: {(folder / 'log').read_text()[-2000:]}")
        return {"cpu_s": used, "done": count, "rss_mib": rss_mib(process.pid)}


def _config(folder: Path, inputs: Sequence[str], interval_s: float) -> str:
    path = folder / "telegraf.conf"
    path.write_text(AGENT.format(folder=folder, interval_s=interval_s) + "".join(inputs))
    return str(path)


@contextmanager
def _running(folder: Path, inputs: Sequence[str], interval_s: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [built("get-telegraf"), "--config", _config(folder, inputs, interval_s)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        end(process)
