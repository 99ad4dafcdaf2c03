"""What one sweep of a BMC costs: the producer's reader next to a plain sequential loop with `requests`, and Telegraf.

Simulated BMCs are polled for all seven categories: by `RedfishReader`, as the fleet does it, and by one session that
GETs each resource after the other, as a script does it. Simulator and clients run in processes of their own, so that
CPU and memory are the client's alone. What both ask for first (what the BMC has) is not in the figures.

Telegraf's `inputs.redfish` reads the thermal and power resources of one System (and, each time, the way to them), so
next to it stands the reader with these two categories. Telegraf writes line protocol to a file; the reader's records
are encoded as Avro; neither sends anything.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin

sys.path.insert(0, str(Path(__file__).parents[1]))

import requests

from bench.support import telegraf
from bench.support.external_process import Missing, orderly
from producers import redfish
from producers.fleet.config import RedfishTarget
from producers.redfish import RedfishReader
from rackstream.simulators.redfish import Simulator
from schemas import catalog, codec
from schemas.testing import raw

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
TWO = ("thermal", "power")
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
        yield partial(read, redfish.create_reader(target, 60.0))


def read(reader: RedfishReader) -> None:
    for category in reader.intervals:
        reader.read(category, 60.0)


def two(urls: Sequence[str]) -> Iterator[Sweep]:
    """The reader with the categories that Telegraf has, and their records as bytes."""
    schema = catalog.schema("RedfishSample")
    for number, url in enumerate(urls):
        target = RedfishTarget(host=f"bmc-{number}", address=url, username=USER, password=f"env:{VARIABLE}")
        yield partial(encoded, redfish.create_reader(target, 60.0), schema)


def encoded(reader: RedfishReader, schema: catalog.Schema) -> None:
    for category in TWO:
        sample = reader.read(category, 60.0)
        codec.encode(schema, raw("RedfishSample", category=category, **sample.body))


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
            self.systems = [member["@odata.id"] for member in self.members(root["Systems"]["@odata.id"])]
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
        for member in self.members(link):
            self.below(member, JOINED)
            for drive in member.get("Drives", ()):
                self.get(drive["@odata.id"])


def measure(pipe: Any, kind: str, urls: Sequence[str], rounds: int, workers: int) -> None:
    """Sweeps each BMC once to know it, then `rounds` times; sends the figures."""
    sweeps = list({"reader": ours, "requests": sequential, "reader_two": two}[kind](urls))
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


@contextmanager
def simulated(arguments: argparse.Namespace) -> Iterator[tuple[Sequence[str], Callable[[], int]]]:
    """BMCs, and how many requests there were so far."""
    bmcs, theirs = SPAWN.Pipe()
    simulator = SPAWN.Process(
        target=simulate, args=(theirs, arguments.bmcs, arguments.shape, arguments.latency), daemon=True
    )
    simulator.start()
    theirs.close()  # so that one that died is an error here, and no wait without end

    def asked() -> int:
        bmcs.send(True)
        return int(bmcs.recv())

    try:
        yield bmcs.recv(), asked
    finally:
        bmcs.send(False)
        simulator.join()


def figures(kind: str, arguments: argparse.Namespace, workers: int) -> dict[str, float]:
    """One way of polling, measured on BMCs of its own."""
    with simulated(arguments) as (urls, asked):
        client, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=measure, args=(theirs, kind, urls, arguments.rounds, workers), daemon=True)
        process.start()
        theirs.close()
        try:
            assert client.recv() == "warm"
            before = asked()
            client.send("go")
            found: dict[str, float] = client.recv()
            requested = asked() - before
            process.join()
        finally:
            process.terminate()
    return {**found, "requests_per_sweep": requested / len(urls) / arguments.rounds}


def by_telegraf(arguments: argparse.Namespace) -> dict[str, float]:
    """The same of Telegraf.

    Raises:
        Missing: there is none here.
    """
    with simulated(arguments) as (urls, asked), TemporaryDirectory(prefix="rackstream-bench-") as folder:
        known = requests.get(f"{urls[0]}/redfish/v1/Systems", auth=(USER, os.environ[VARIABLE]), timeout=60).json()
        system = known["Members"][0]["@odata.id"].rstrip("/").rpartition("/")[2]
        inputs = [telegraf.redfish(url, USER, os.environ[VARIABLE], system) for url in urls]
        before = asked()
        lines = telegraf.once(inputs)
        per_sweep = (asked() - before) / len(urls)
        found = telegraf.window(inputs, max(0.5, 4 * arguments.latency), arguments.seconds, asked, Path(folder))
    sweeps = found["done"] / per_sweep
    return {
        "sweeps_per_s": sweeps / arguments.seconds,
        "cpu_ms_per_sweep": 1000 * found["cpu_s"] / sweeps,
        "rss_mib": found["rss_mib"],
        "requests_per_sweep": per_sweep,
        "lines_per_sweep": lines / len(urls),
    }


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
    parser.add_argument("--seconds", type=float, default=15.0, help="that Telegraf is watched")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    orderly()
    os.environ.setdefault(VARIABLE, "bench")
    found = {"reader": figures("reader", arguments, arguments.workers), "requests": figures("requests", arguments, 1)}
    found["reader_two"] = figures("reader_two", arguments, arguments.workers)
    reason = None
    try:
        found["telegraf"] = by_telegraf(arguments)
    except Missing as error:
        reason = str(error)
    print(f"{arguments.bmcs} BMCs ({arguments.shape}), {arguments.rounds} sweeps, slowest answer {arguments.latency} s")
    result = {"bmcs": arguments.bmcs, "shape": arguments.shape, "latency_s": arguments.latency, "missing": reason}
    ratios = result["ratio"] = table(found, "reader", "requests")
    if reason is None:
        ratios = result["ratio_telegraf"] = table(found, "reader_two", "telegraf")
        print(f"Telegraf costs {1 / ratios['cpu_ms_per_sweep']:.2f} times ours in CPU")
    else:
        print(f"Telegraf left out: {reason}")
    if arguments.json:
        print(json.dumps(result | found))


def table(found: dict[str, dict[str, float]], ours: str, other: str) -> dict[str, float]:
    """Prints two ways next to each other; returns ours as parts of the other's."""
    names = ("sweeps_per_s", "requests_per_sweep", "cpu_ms_per_sweep", "rss_mib")
    ratios = {name: found[ours][name] / found[other][name] for name in names}
    print(f"{'':<20}{ours:>12}{other:>12}{'ratio':>10}")
    for name in names:
        print(f"{name:<20}{found[ours][name]:>12.1f}{found[other][name]:>12.1f}{ratios[name]:>10.2f}")
    return ratios


if __name__ == "__main__":
    main()
