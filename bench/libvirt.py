"""Measures polls of libvirt: bulk statistics compared with calls per device, on QEMU and on libvirt's test driver.

`make bench ONLY=bench/libvirt.py`; with `ARGS=--json` a JSON object comes last. CPU is that of the client: this process
and its children, without libvirtd and QEMU. A ratio is the cost of a method relative to the producer's reader, which
makes records; `calls` discards the results. Parts that this machine cannot run are skipped, with the reason.
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
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[1]
# Without this folder, from which `import libvirt` would import this file.
sys.path[:] = [str(ROOT), *(path for path in sys.path if Path(path) != ROOT / "bench")]

import structlog  # noqa: E402

from bench.support import telegraf  # noqa: E402
from bench.support.external_process import MissingPeer  # noqa: E402
from producers import libvirt as source  # noqa: E402
from producers.fleet.targets import LibvirtTarget  # noqa: E402
from producers.libvirt import KVMConnector, device_cache, mapping  # noqa: E402
from producers.reader import Problems  # noqa: E402
from rackstream.simulators.libvirt_testnode import node_xml  # noqa: E402
from schemas import catalog, codec  # noqa: E402
from schemas.testing import make_raw_record  # noqa: E402
from tests.e2e.support import qemu  # noqa: E402

RECORDED = ROOT / "tests/cases/libvirt/running"
ACTIVE_DOMAINS = 1
Row = dict[str, Any]
server_pids: set[int] = set()
"""Processes whose CPU time, with that of their children, does not count as the client's."""


def client_cpu_s() -> float:
    """Returns the CPU time so far of this process and its children, including those that have ended."""
    times = os.times()
    children_s = 0.0
    for process in _descendants(os.getpid()):
        with suppress(OSError):
            children_s += time.clock_gettime(~process << 3 | 2)  # clock_getcpuclockid(3)
    return time.process_time() + times.children_user + times.children_system + children_s


def _descendants(process: int) -> Iterable[int]:
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            if int(child) not in server_pids:
                yield int(child)
                with suppress(OSError):
                    yield from _descendants(int(child))


def measure(rounds: int, poll: Callable[[], object]) -> dict[str, float]:
    """Measures the wall time (mean and maximum) and CPU time of a poll, in milliseconds."""
    poll()  # opens the connection and reads device lists
    wall_times_ms = []
    began_cpu_s = client_cpu_s()
    for _ in range(rounds):
        began_s = time.perf_counter()
        poll()
        wall_times_ms.append((time.perf_counter() - began_s) * 1000)
    cpu_ms = (client_cpu_s() - began_cpu_s) * 1000 / rounds
    return {
        "wall_ms": round(sum(wall_times_ms) / rounds, 3),
        "wall_max_ms": round(max(wall_times_ms), 3),
        "cpu_ms": round(cpu_ms, 3),
    }


class PerDeviceCalls:
    """Polls as a simple script does: lists the VMs, then makes calls for each VM and each device."""

    def __init__(self, uri: str) -> None:
        import libvirt

        libvirt.registerErrorHandler(lambda *_: None, None)
        self._error = libvirt.libvirtError
        self._connection = libvirt.openReadOnly(uri)
        self._devices: dict[str, tuple[list[str], list[str]]] = {}

    def poll(self) -> None:
        """Polls once: eight calls for a VM with two NICs and three disks."""
        for domain in self._connection.listAllDomains(ACTIVE_DOMAINS):
            nics, disks = self._devices_of(domain)
            domain.info()
            for nic in nics:
                domain.interfaceStats(nic)
            for disk in disks:
                domain.blockStats(disk)
            domain.memoryStats()
            with suppress(self._error):  # fails if libvirtd has no control groups; the call counts all the same
                domain.getCPUStats(True)

    def _devices_of(self, domain: Any) -> tuple[list[str], list[str]]:
        uuid = domain.UUIDString()
        if uuid not in self._devices:
            devices = device_cache.parse_domain_xml(domain.XMLDesc())
            self._devices[uuid] = (list(devices.nics), list(devices.disks))
        return self._devices[uuid]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


class ScriptingConnector:
    """Polls with calls per device through `KVMConnector`, which limits the time of each call."""

    def __init__(self, uri: str) -> None:
        self._kvm = KVMConnector(uri)

    def poll(self) -> None:
        """Polls once, with the calls of `PerDeviceCalls`."""
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


class ProducerReader:
    """Polls with the reader of the producer."""

    def __init__(self, uri: str) -> None:
        self._reader = source.create_reader(LibvirtTarget(host="bench", uri=uri), 10.0)

    def poll(self) -> None:
        """Polls once."""
        self._reader.read("domains", 60)

    def close(self) -> None:
        """Closes the connection."""
        self._reader.close()


class PollMethod(Protocol):
    """A way to poll all VMs of a host."""

    def poll(self) -> None:
        """Polls once."""

    def close(self) -> None:
        """Closes the connection."""


METHODS: dict[str, Callable[[str], PollMethod]] = {
    "reader": ProducerReader,
    "calls": PerDeviceCalls,
    "connector": ScriptingConnector,
}


def compare_methods(part: str, uri: str, vms: int, rounds: int) -> list[Row]:
    """Measures all methods; returns a row each, with ratios to the producer's reader."""
    rows: list[Row] = []
    for name, create in METHODS.items():
        method = create(uri)
        rows.append({"part": part, "vms": vms, "way": name} | measure(rounds, method.poll))
        method.close()
    for row in rows[1:]:
        row |= {f"{kind}_ratio": round(row[f"{kind}_ms"] / rows[0][f"{kind}_ms"], 2) for kind in ("wall", "cpu")}
    for row in rows:
        print_row(row)
    return rows


def print_row(row: Row) -> None:
    """Prints a line of the table."""
    ratios = "".join(f"{kind} ×{row[f'{kind}_ratio']:<7}" for kind in ("wall", "cpu") if f"{kind}_ratio" in row)
    wall = f"wall {row['wall_ms']:>9.2f} ms (worst {row['wall_max_ms']:>9.2f})" if "wall_ms" in row else f"{'':34}"
    print(
        f"{row['part']:22} {row['vms']:>6} VMs  {row['way']:10} {wall}  cpu {row['cpu_ms']:>9.2f} ms  {ratios}",
        flush=True,
    )


def measure_qemu(counts: list[int], rounds: int) -> list[Row]:
    """Measures idle QEMU guests with two NICs and three disks."""
    reason = qemu.missing()
    if reason:
        print(f"skipped: real VMs ({reason})")
        return []
    rows, running = [], 0
    with qemu.Lab() as lab, ThreadPoolExecutor(4) as pool:
        server_pids.add(lab.process)
        for count in sorted(counts):
            list(pool.map(lambda n: lab.start(f"vm{n}", n), range(running, count)))
            running = count
            rows += compare_methods("real QEMU", lab.uri, count, rounds)
            rows += measure_telegraf(lab.uri, count, rows[-len(METHODS)]["cpu_ms"])
    return rows


def measure_telegraf(uri: str, vms: int, reader_cpu_ms: float) -> list[Row]:
    """Measures Telegraf's `inputs.libvirt`, which reads the same groups in bulk and writes lines to a file."""
    with TemporaryDirectory(prefix="rackstream-bench-") as name:
        lines = Path(name, "lines")
        try:
            gathering = telegraf.measure_gathering(
                [telegraf.libvirt(uri)], 0.5, 10.0, lambda: _gather_count(lines, vms), folder=Path(name)
            )
        except MissingPeer as error:
            print(f"skipped: Telegraf ({error})")
            return []
    cpu_ms = 1000 * gathering["cpu_s"] / gathering["done"]
    row: Row = {"part": "real QEMU", "vms": vms, "way": "telegraf", "cpu_ms": cpu_ms, "rss_mib": gathering["rss_mib"]}
    row["cpu_ratio"] = round(cpu_ms / reader_cpu_ms, 2)
    print_row(row)
    return [row]


def _gather_count(lines: Path, vms: int) -> float:
    """Returns the number of gatherings, from the lines of the VMs' states."""
    return sum(line.startswith(b"libvirt_state,") for line in lines.read_bytes().splitlines()) / vms


def measure_test_driver(counts: list[int], rounds: int) -> list[Row]:
    """Measures nodes of libvirt's test driver, which has no bulk statistics: the reader makes calls per device, too."""
    rows = []
    with TemporaryDirectory() as directory:
        for count in counts:
            path = Path(directory, f"{count}.xml")
            path.write_text(node_xml(count))
            rows += compare_methods("test driver", f"test://{path}", count, rounds)
    return rows


def measure_decoding(counts: list[int], rounds: int) -> list[Row]:
    """Measures making and encoding a record, from a recorded bulk sample that is multiplied, without libvirt."""
    stats = json.loads((RECORDED / "bulk.json").read_text())
    devices = device_cache.parse_domain_xml((RECORDED / "domain.xml").read_text())
    schema = catalog.schema("LibvirtSample")
    rows = []
    for count in counts:
        identities = [mapping.DomainIdentity(f"one-{n}", f"00000000-0000-4000-8000-{n:012d}", n) for n in range(count)]

        def decode(identities: list[mapping.DomainIdentity] = identities) -> None:
            problems = Problems()
            domains = [mapping.domain_from_stats(identity, stats, devices, problems) for identity in identities]
            codec.encode(schema, make_raw_record("LibvirtSample", domains=domains))

        row = {"part": "recorded, multiplied", "vms": count, "way": "decoding"} | measure(rounds, decode)
        print_row(row)
        rows.append(row)
    return rows


def main() -> None:
    """Runs all parts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vms", default="10,30,60", help="numbers of real VMs  [default: %(default)s]")
    parser.add_argument(
        "--domains", default="100,1000,5000", help="numbers of domains of the test driver  [default: %(default)s]"
    )
    parser.add_argument("--rounds", type=int, default=10, help="polls per measurement  [default: %(default)s]")
    parser.add_argument("--json", action="store_true", help="print a JSON object last")
    options = parser.parse_args()
    vms, domains = ([int(number) for number in text.split(",") if number] for text in (options.vms, options.domains))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        import libvirt  # noqa: F401
    except ImportError as error:
        print(f"skipped: all parts that need libvirt ({error})")
        rows = []
    else:
        rows = measure_qemu(vms, options.rounds) + measure_test_driver(domains, max(2, options.rounds // 3))
    rows += measure_decoding(domains, max(2, options.rounds // 3))
    if options.json:
        print(json.dumps({"bench": "libvirt", "rows": rows}))


if __name__ == "__main__":
    main()
