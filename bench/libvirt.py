"""What a round of the libvirt source costs: bulk against a call per device, on real QEMU and on libvirt's test driver.

`make bench ONLY=bench/libvirt.py`; with `ARGS=--json` one JSON object comes last. CPU is that of the client: this
process and all it started, without libvirtd and QEMU. A ratio is what a way costs against our reader, which makes
records of the figures; `calls` throws them away. Parts that this machine cannot run are left out, with the reason.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
# Without this folder, in which `libvirt` would be this file.
sys.path[:] = [str(ROOT), *(each for each in sys.path if Path(each) != ROOT / "bench")]

import structlog  # noqa: E402

from bench.support import telegraf  # noqa: E402
from bench.support.external_process import Missing  # noqa: E402
from producers import libvirt as source  # noqa: E402
from producers.fleet.config import LibvirtTarget  # noqa: E402
from producers.libvirt import KVMConnector, device_cache, mapping  # noqa: E402
from producers.reader import Problems  # noqa: E402
from rackstream.simulators.libvirt_testnode import node  # noqa: E402
from schemas import catalog, codec  # noqa: E402
from schemas.testing import raw  # noqa: E402
from tests.e2e.support import qemu  # noqa: E402

RECORDED = ROOT / "tests/cases/libvirt/running"
ACTIVE = 1
Row = dict[str, object]
servers: set[int] = set()
"""Processes whose time, and that of all they started, is not the client's."""


def cpu_s() -> float:
    """Processor time of this process and of those it started, which may have ended, so far."""
    ended = os.times()
    living = 0.0
    for process in _descendants(os.getpid()):
        with suppress(OSError):
            living += time.clock_gettime(~process << 3 | 2)  # clock_getcpuclockid(3)
    return time.process_time() + ended.children_user + ended.children_system + living


def _descendants(process: int) -> Iterable[int]:
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            if int(child) not in servers:
                yield int(child)
                with suppress(OSError):
                    yield from _descendants(int(child))


def measured(rounds: int, once: Callable[[], object]) -> dict[str, float]:
    """Milliseconds per round, by the wall's clock (of all: mean and worst) and the processor's."""
    once()  # opens, reads device lists
    walls = []
    began_cpu_s = cpu_s()
    for _ in range(rounds):
        began_s = time.perf_counter()
        once()
        walls.append((time.perf_counter() - began_s) * 1000)
    cpu_ms = (cpu_s() - began_cpu_s) * 1000 / rounds
    return {"wall_ms": round(sum(walls) / rounds, 3), "wall_max_ms": round(max(walls), 3), "cpu_ms": round(cpu_ms, 3)}


class PerDevice:
    """What seed 003 asks of libvirt in a round: a list, then calls for each VM and each of its devices."""

    def __init__(self, uri: str) -> None:
        import libvirt

        libvirt.registerErrorHandler(lambda *_: None, None)
        self._error = libvirt.libvirtError
        self._connection = libvirt.openReadOnly(uri)
        self._devices: dict[str, tuple[list[str], list[str]]] = {}

    def round(self) -> None:
        """Eight calls for a VM with two NICs and three disks."""
        for domain in self._connection.listAllDomains(ACTIVE):
            nics, disks = self._devices_of(domain)
            domain.info()
            for nic in nics:
                domain.interfaceStats(nic)
            for disk in disks:
                domain.blockStats(disk)
            domain.memoryStats()
            with suppress(self._error):  # refused where libvirtd has no control groups; the call is made all the same
                domain.getCPUStats(True)

    def _devices_of(self, domain: object) -> tuple[list[str], list[str]]:
        uuid = domain.UUIDString()
        if uuid not in self._devices:
            known = device_cache.parse(domain.XMLDesc())
            self._devices[uuid] = (list(known.nics), list(known.disks))
        return self._devices[uuid]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


class Connector:
    """The same through `KVMConnector`, which gives each call a deadline."""

    def __init__(self, uri: str) -> None:
        self._kvm = KVMConnector(uri)

    def round(self) -> None:
        """As `PerDevice.round`."""
        for vm in self._kvm.get_live_vms():
            nics, disks = self._kvm.get_devices_for_vm(vm["dom"])
            for nic in nics:
                self._kvm.get_interface_stats(vm["dom"], nic)
            for disk in disks:
                self._kvm.get_block_stats(vm["dom"], disk)
            self._kvm.get_memory_stats(vm["dom"])
            self._kvm.get_cpu_stats(vm["dom"])

    def close(self) -> None:
        """Closes the connection."""
        self._kvm.disconnect()


class Reader:
    """Our own: what the producer runs."""

    def __init__(self, uri: str) -> None:
        self._reader = source.create_reader(LibvirtTarget(host="bench", uri=uri), 10.0)

    def round(self) -> None:
        """One poll."""
        self._reader.read("domains", 60)

    def close(self) -> None:
        """Closes the connection."""
        self._reader.close()


WAYS = {"reader": Reader, "calls": PerDevice, "connector": Connector}


def compare(what: str, uri: str, vms: int, rounds: int) -> list[Row]:
    """A row per way of asking, and one with ratios to ours."""
    rows: list[Row] = []
    for name, way in WAYS.items():
        asked = way(uri)
        rows.append({"part": what, "vms": vms, "way": name} | measured(rounds, asked.round))
        asked.close()
    for row in rows[1:]:
        row |= {f"{kind}_ratio": round(row[f"{kind}_ms"] / rows[0][f"{kind}_ms"], 2) for kind in ("wall", "cpu")}
    for row in rows:
        show(row)
    return rows


def show(row: Row) -> None:
    """One line of the table."""
    ratios = "".join(f"{kind} ×{row[f'{kind}_ratio']:<7}" for kind in ("wall", "cpu") if f"{kind}_ratio" in row)
    wall = f"wall {row['wall_ms']:>9.2f} ms (worst {row['wall_max_ms']:>9.2f})" if "wall_ms" in row else f"{'':34}"
    print(
        f"{row['part']:22} {row['vms']:>6} VMs  {row['way']:10} {wall}  cpu {row['cpu_ms']:>9.2f} ms  {ratios}",
        flush=True,
    )


def on_qemu(counts: list[int], rounds: int) -> list[Row]:
    """Real VMs: guests that do nothing, with two NICs and three disks."""
    reason = qemu.missing()
    if reason:
        print(f"left out: real VMs ({reason})")
        return []
    rows, running = [], 0
    with qemu.Lab() as lab, ThreadPoolExecutor(4) as pool:
        servers.add(lab.process)
        for count in sorted(counts):
            list(pool.map(lambda n: lab.start(f"vm{n}", n), range(running, count)))
            running = count
            rows += compare("real QEMU", lab.uri, count, rounds)
            rows += by_telegraf(lab.uri, count, rows[-len(WAYS)]["cpu_ms"])
    return rows


def by_telegraf(uri: str, vms: int, ours_ms: float) -> list[Row]:
    """The row of Telegraf's `inputs.libvirt`, which asks for the same groups in bulk and writes lines to a file."""
    with TemporaryDirectory(prefix="rackstream-bench-") as name:
        lines = Path(name, "lines")
        try:
            found = telegraf.window([telegraf.libvirt(uri)], 0.5, 10.0, lambda: _gathers(lines, vms), folder=Path(name))
        except Missing as error:
            print(f"left out: Telegraf ({error})")
            return []
    cpu_ms = 1000 * found["cpu_s"] / found["done"]
    row: Row = {"part": "real QEMU", "vms": vms, "way": "telegraf", "cpu_ms": cpu_ms, "rss_mib": found["rss_mib"]}
    row["cpu_ratio"] = round(cpu_ms / ours_ms, 2)
    show(row)
    return [row]


def _gathers(lines: Path, vms: int) -> float:
    """How often it has asked, by the lines of all VMs' states."""
    return sum(line.startswith(b"libvirt_state,") for line in lines.read_bytes().splitlines()) / vms


def on_test_driver(counts: list[int], rounds: int) -> list[Row]:
    """Nodes of libvirt's test driver, which has no bulk figures: our reader asks per device as well."""
    rows = []
    with TemporaryDirectory() as directory:
        for count in counts:
            path = Path(directory, f"{count}.xml")
            path.write_text(node(count))
            rows += compare("test driver", f"test://{path}", count, rounds)
    return rows


def decoding(counts: list[int], rounds: int) -> list[Row]:
    """One recorded bulk sample, multiplied: what making the record and its Avro costs, without libvirt."""
    stats = json.loads((RECORDED / "bulk.json").read_text())
    known = device_cache.parse((RECORDED / "domain.xml").read_text())
    schema = catalog.schema("LibvirtSample")
    rows = []
    for count in counts:
        who = [mapping.Who(f"one-{n}", f"00000000-0000-4000-8000-{n:012d}", n) for n in range(count)]

        def decode(who: list[mapping.Who] = who) -> None:
            problems = Problems()
            domains = [mapping.from_bulk(each, stats, known, problems) for each in who]
            codec.encode(schema, raw("LibvirtSample", domains=domains))

        row = {"part": "recorded, multiplied", "vms": count, "way": "decoding"} | measured(rounds, decode)
        show(row)
        rows.append(row)
    return rows


def main() -> None:
    """Runs all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vms", default="10,30,60", help="real VMs  [default: %(default)s]")
    parser.add_argument("--domains", default="100,1000,5000", help="of the test driver  [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=10, help="per measurement  [default: %(default)s]")
    parser.add_argument("--json", action="store_true", help="one JSON object last")
    options = parser.parse_args()
    vms, domains = ([int(each) for each in text.split(",") if each] for text in (options.vms, options.domains))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        import libvirt  # noqa: F401
    except ImportError as error:
        print(f"left out: all that asks libvirt ({error})")
        rows = []
    else:
        rows = on_qemu(vms, options.rounds) + on_test_driver(domains, max(2, options.rounds // 3))
    rows += decoding(domains, max(2, options.rounds // 3))
    if options.json:
        print(json.dumps({"bench": "libvirt", "rows": rows}))


if __name__ == "__main__":
    main()
