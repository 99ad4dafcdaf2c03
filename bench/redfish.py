"""What one sweep of a BMC costs: the producer's reader next to a plain sequential loop with `requests`.

Simulated BMCs are polled for all seven categories: by `RedfishReader`, as the fleet does it, and by one session that
GETs each resource after the other, as a script does it. Simulator and clients run in processes of their own, so that
CPU and memory are the client's alone. What both ask for first (what the BMC has) is not in the figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urljoin

import requests

from producers import redfish
from producers.redfish import RedfishReader
from producers.simulate.redfish import Simulator
from producers.targets import RedfishTarget

SPAWN = multiprocessing.get_context("spawn")
USER, VARIABLE = "bench", "RACKSTREAM_BENCH_BMC_PASSWORD"
BELOW_SYSTEM = ("Processors", "Memory", "NetworkInterfaces", "EthernetInterfaces", "Storage")
BELOW_CHASSIS = ("Thermal", "Power", "NetworkAdapters", "ThermalSubsystem", "PowerSubsystem", "Sensors")
WHOLE = (
    "Thermal",
    "Power",
    "ThermalSubsystem",
    "PowerSubsystem",
    "ThermalMetrics",
    "Metrics",
    "ProcessorMetrics",
    "EnvironmentMetrics",
)
JOINED = ("Metrics", "ProcessorMetrics", "EnvironmentMetrics", "ThermalMetrics", "Ports")
Sweep = Callable[[], None]


def simulate(pipe: Any, count: int, shape: str, latency_s: float) -> None:
    """Serves BMCs; answers each message with the number of requests so far, until there are no more messages."""
    login = {"username": USER, "password": os.environ[VARIABLE]}
    with Simulator(count, shape=shape, latency_s=latency_s, **login) as simulator:
        pipe.send(list(simulator.urls))
        while pipe.recv():
            pipe.send(simulator.counts()["requests"])


def ours(urls: Sequence[str]) -> Iterator[Sweep]:
    """The producer's reader, one per BMC."""
    for number, url in enumerate(urls):
        target = RedfishTarget(host=f"bmc-{number}", address=url, username=USER, password=f"env:{VARIABLE}")
        yield partial(read, redfish.reader(target, 60.0))


def read(reader: RedfishReader) -> None:
    for category in reader.intervals:
        reader.read(category, 60.0)


def sequential(urls: Sequence[str]) -> Iterator[Sweep]:
    """One session per BMC, one GET after the other."""
    for url in urls:
        yield Walk(url).sweep


class Walk:
    """All that the seven categories need of one BMC, asked for as one writes it down."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.auth = (USER, os.environ[VARIABLE])

        self.systems: list[str] = []
        self.chassis: list[dict[str, Any]] = []

    def sweep(self) -> None:
        if not self.systems:
            root = self.get("/redfish/v1/")
            self.systems = [each["@odata.id"] for each in self.members(root["Systems"]["@odata.id"])]
            self.chassis = list(self.members(root["Chassis"]["@odata.id"]))
        for system in self.systems:
            self.below(self.get(system), BELOW_SYSTEM)
        for chassis in self.chassis:
            self.below(chassis, BELOW_CHASSIS)

    def get(self, link: str) -> dict[str, Any]:
        response = self.session.get(urljoin(self.url, link), timeout=60)
        return response.json() if response.ok else {}

    def members(self, link: str | None) -> Iterator[dict[str, Any]]:
        while link:
            page = self.get(link)
            yield from (self.get(each["@odata.id"]) for each in page.get("Members") or [])
            link = page.get("Members@odata.nextLink")

    def below(self, document: dict[str, Any], names: Sequence[str]) -> None:
        for name in names:
            linked = document.get(name)
            if isinstance(linked, dict) and "@odata.id" in linked:
                self.inside(name, linked["@odata.id"])

    def inside(self, name: str, link: str) -> None:
        if name in WHOLE:
            self.below(self.get(link), ("Fans", "PowerSupplies", "ThermalMetrics"))
            return
        for each in self.members(link):
            self.below(each, JOINED)
            for drive in each.get("Drives", ()):
                self.get(drive["@odata.id"])


def measure(pipe: Any, kind: str, urls: Sequence[str], rounds: int, workers: int) -> None:
    """Sweeps each BMC once to know it, then `rounds` times; sends the figures."""
    sweeps = list({"reader": ours, "requests": sequential}[kind](urls))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda sweep: sweep(), sweeps))
        pipe.send("warm")
        pipe.recv()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        list(pool.map(lambda sweep: sweep(), sweeps * rounds))
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = len(sweeps) * rounds
    pipe.send({"sweeps_per_s": count / wall_s, "cpu_ms_per_sweep": 1000 * cpu_s / count, "rss_mib": rss_mib})


def figures(kind: str, arguments: argparse.Namespace, workers: int) -> dict[str, float]:
    """One way of polling, measured on BMCs of its own."""
    bmcs, theirs = SPAWN.Pipe()
    simulator = SPAWN.Process(
        target=simulate, args=(theirs, arguments.bmcs, arguments.shape, arguments.latency), daemon=True
    )
    simulator.start()
    theirs.close()  # so that one that died is an error here, and no wait without end
    urls = bmcs.recv()
    client, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=measure, args=(theirs, kind, urls, arguments.rounds, workers), daemon=True)
    process.start()
    theirs.close()
    try:
        assert client.recv() == "warm"
        bmcs.send(True)
        before = bmcs.recv()
        client.send("go")
        found: dict[str, float] = client.recv()
        bmcs.send(True)
        asked = bmcs.recv() - before
        process.join()
    finally:
        process.terminate()
        bmcs.send(False)
        simulator.join()
    return {**found, "requests_per_sweep": asked / len(urls) / arguments.rounds}


def main() -> None:
    """Prints a table, and with --json the same as one object last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bmcs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="sweeps of each BMC")
    parser.add_argument("--shape", default="dell", help="as of `rackstream simulate redfish`")
    parser.add_argument(
        "--latency", type=float, default=0.05, help="seconds that the slowest answers take, others 5 %%"
    )
    parser.add_argument("--workers", type=int, default=32, help="threads of the reader; the loop has one")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault(VARIABLE, "bench")
    found = {"reader": figures("reader", arguments, arguments.workers), "requests": figures("requests", arguments, 1)}
    names = ("sweeps_per_s", "requests_per_sweep", "cpu_ms_per_sweep", "rss_mib")
    ratios = {name: found["reader"][name] / found["requests"][name] for name in names}
    print(f"{arguments.bmcs} BMCs ({arguments.shape}), {arguments.rounds} sweeps, slowest answer {arguments.latency} s")
    print(f"{'':<20}{'reader':>12}{'requests':>12}{'ratio':>10}")
    for name in names:
        print(f"{name:<20}{found['reader'][name]:>12.1f}{found['requests'][name]:>12.1f}{ratios[name]:>10.2f}")
    if arguments.json:
        print(json.dumps({"bmcs": arguments.bmcs, "shape": arguments.shape, "latency_s": arguments.latency, **found,
                          "ratio": ratios}))  # fmt: skip


if __name__ == "__main__":
    main()
