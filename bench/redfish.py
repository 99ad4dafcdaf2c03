"""Measures polls of a BMC: the producer's reader compared with a sequential script and with Telegraf.

Simulated BMCs are polled for all seven categories, by `RedfishReader` as the producer does it, and by a script that
GETs one resource after the other with `requests`. Simulator and clients run in their own processes, so that CPU and
memory are those of the client. The first requests, which find the resources of a BMC, are not measured.

Telegraf's `inputs.redfish` reads the thermal and power resources of one System, and each time the resources that lead
to them. It is compared with the reader for these two categories. Telegraf writes line protocol to a file; the reader's
records are encoded as Avro; neither sends anything.
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
from bench.support.external_process import MissingPeer, exit_on_sigterm
from producers import redfish
from producers.fleet.targets import RedfishTarget
from producers.redfish import RedfishReader
from rackstream.simulators.redfish import RedfishSimulator
from schemas import catalog, codec
from schemas.testing import make_raw_record

SPAWN = multiprocessing.get_context("spawn")
USER, VARIABLE = "bench", "RACKSTREAM_BENCH_BMC_PASSWORD"
SYSTEM_LINKS = ("Processors", "Memory", "NetworkInterfaces", "EthernetInterfaces", "Storage")
CHASSIS_LINKS = ("Thermal", "Power", "NetworkAdapters", "ThermalSubsystem", "PowerSubsystem", "Sensors")
SINGLE_RESOURCES = (
    "Thermal",
    "Power",
    "ThermalSubsystem",
    "PowerSubsystem",
    "ThermalMetrics",
    "Metrics",
    "ProcessorMetrics",
    "EnvironmentMetrics",
)
JOINED_LINKS = ("Metrics", "ProcessorMetrics", "EnvironmentMetrics", "ThermalMetrics", "Ports")
TWO_CATEGORIES = ("thermal", "power")
Sweep = Callable[[], None]


def serve_simulator(pipe: Any, count: int, shape: str, latency_s: float) -> None:
    """Serves BMCs; answers each true message with the number of requests so far, and ends at a false one."""
    password = os.environ[VARIABLE]
    with RedfishSimulator(count, model=shape, latency_s=latency_s, username=USER, password=password) as simulator:
        pipe.send(list(simulator.urls))
        while pipe.recv():
            pipe.send(simulator.statistics()["requests"])


def producer_sweeps(urls: Sequence[str]) -> Iterator[Sweep]:
    """Yields a sweep per BMC with the producer's reader."""
    for number, url in enumerate(urls):
        target = RedfishTarget(host=f"bmc-{number}", address=url, username=USER, password=f"env:{VARIABLE}")
        yield partial(read_all_categories, create_reader(target))


def create_reader(target: RedfishTarget) -> RedfishReader:
    reader = redfish.create_reader(target, 60.0)
    assert isinstance(reader, RedfishReader)  # others are for BMCs of several systems
    return reader


def read_all_categories(reader: RedfishReader) -> None:
    for category in reader.intervals:
        reader.read(category, 60.0)


def two_category_sweeps(urls: Sequence[str]) -> Iterator[Sweep]:
    """Yields a sweep per BMC with the producer's reader, for the categories that Telegraf reads, with encoding."""
    schema = catalog.schema("RedfishSample")
    for number, url in enumerate(urls):
        target = RedfishTarget(host=f"bmc-{number}", address=url, username=USER, password=f"env:{VARIABLE}")
        yield partial(read_and_encode, create_reader(target), schema)


def read_and_encode(reader: RedfishReader, schema: catalog.Schema) -> None:
    for category in TWO_CATEGORIES:
        sample = reader.read(category, 60.0)
        codec.encode(schema, make_raw_record("RedfishSample", category=category, **sample.body))


def script_sweeps(urls: Sequence[str]) -> Iterator[Sweep]:
    """Yields a sweep per BMC with a sequential script."""
    for url in urls:
        yield SequentialScript(url).sweep


class SequentialScript:
    """A simple script that reads all resources of the seven categories of one BMC."""

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
            self.get_linked(self.get(system), SYSTEM_LINKS)
        for chassis in self.chassis:
            self.get_linked(chassis, CHASSIS_LINKS)

    def get(self, link: str) -> dict[str, Any]:
        response = self.session.get(urljoin(self.url, link), timeout=60)
        return response.json() if response.ok else {}

    def members(self, link: str | None) -> Iterator[dict[str, Any]]:
        while link:
            page = self.get(link)
            yield from (self.get(member["@odata.id"]) for member in page.get("Members") or [])
            link = page.get("Members@odata.nextLink")

    def get_linked(self, document: dict[str, Any], names: Sequence[str]) -> None:
        for name in names:
            linked = document.get(name)
            if isinstance(linked, dict) and "@odata.id" in linked:
                self.get_resource(name, linked["@odata.id"])

    def get_resource(self, name: str, link: str) -> None:
        if name in SINGLE_RESOURCES:
            self.get_linked(self.get(link), ("Fans", "PowerSupplies", "ThermalMetrics"))
            return
        for member in self.members(link):
            self.get_linked(member, JOINED_LINKS)
            for drive in member.get("Drives", ()):
                self.get(drive["@odata.id"])


def measure_client(pipe: Any, kind: str, urls: Sequence[str], rounds: int, workers: int) -> None:
    """Sweeps each BMC once to find its resources, then `rounds` times; sends the result."""
    sweeps = list({"reader": producer_sweeps, "requests": script_sweeps, "reader_two": two_category_sweeps}[kind](urls))
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
    """Runs a simulator; yields the URLs of its BMCs and a function that returns the number of requests so far."""
    parent_end, child_end = SPAWN.Pipe()
    simulator = SPAWN.Process(
        target=serve_simulator, args=(child_end, arguments.bmcs, arguments.shape, arguments.latency), daemon=True
    )
    simulator.start()
    child_end.close()  # if the simulator dies, recv() fails instead of waiting forever

    def request_count() -> int:
        parent_end.send(True)
        return int(parent_end.recv())

    try:
        yield parent_end.recv(), request_count
    finally:
        parent_end.send(False)
        simulator.join()


def measure_method(kind: str, arguments: argparse.Namespace, workers: int) -> dict[str, float]:
    """Measures one method of polling, on its own BMCs."""
    with simulated(arguments) as (urls, request_count):
        client, child_end = SPAWN.Pipe()
        process = SPAWN.Process(
            target=measure_client, args=(child_end, kind, urls, arguments.rounds, workers), daemon=True
        )
        process.start()
        child_end.close()
        try:
            assert client.recv() == "warm"
            before = request_count()
            client.send("go")
            result: dict[str, float] = client.recv()
            requests_made = request_count() - before
            process.join()
        finally:
            process.terminate()
    return {**result, "requests_per_sweep": requests_made / len(urls) / arguments.rounds}


def measure_telegraf(arguments: argparse.Namespace) -> dict[str, float]:
    """Measures Telegraf, on its own BMCs.

    Raises:
        MissingPeer: There is no Telegraf.
    """
    with simulated(arguments) as (urls, request_count), TemporaryDirectory(prefix="rackstream-bench-") as folder:
        systems = requests.get(f"{urls[0]}/redfish/v1/Systems", auth=(USER, os.environ[VARIABLE]), timeout=60).json()
        system = systems["Members"][0]["@odata.id"].rstrip("/").rpartition("/")[2]
        inputs = [telegraf.redfish(url, USER, os.environ[VARIABLE], system) for url in urls]
        before = request_count()
        lines = telegraf.gather_once(inputs)
        per_sweep = (request_count() - before) / len(urls)
        gathering = telegraf.measure_gathering(
            inputs, max(0.5, 4 * arguments.latency), arguments.seconds, request_count, Path(folder)
        )
    sweeps = gathering["done"] / per_sweep
    return {
        "sweeps_per_s": sweeps / arguments.seconds,
        "cpu_ms_per_sweep": 1000 * gathering["cpu_s"] / sweeps,
        "rss_mib": gathering["rss_mib"],
        "requests_per_sweep": per_sweep,
        "lines_per_sweep": lines / len(urls),
    }


def main() -> None:
    """Runs all methods and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bmcs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="sweeps of each BMC")
    parser.add_argument("--shape", default="dell", help="model, as in `rackstream simulate redfish`")
    parser.add_argument(
        "--latency", type=float, default=0.05, help="seconds of the slowest responses; the others take 5 %% of it"
    )
    parser.add_argument("--workers", type=int, default=32, help="threads of the reader; the script has one")
    parser.add_argument("--seconds", type=float, default=15.0, help="duration of the Telegraf measurement")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    exit_on_sigterm()
    os.environ.setdefault(VARIABLE, "bench")
    results = {
        "reader": measure_method("reader", arguments, arguments.workers),
        "requests": measure_method("requests", arguments, 1),
    }
    results["reader_two"] = measure_method("reader_two", arguments, arguments.workers)
    reason = None
    try:
        results["telegraf"] = measure_telegraf(arguments)
    except MissingPeer as error:
        reason = str(error)
    print(
        f"{arguments.bmcs} BMCs ({arguments.shape}), {arguments.rounds} sweeps, slowest response {arguments.latency} s"
    )
    result = {"bmcs": arguments.bmcs, "shape": arguments.shape, "latency_s": arguments.latency, "missing": reason}
    ratios = result["ratio"] = print_comparison(results, "reader", "requests")
    if reason is None:
        ratios = result["ratio_telegraf"] = print_comparison(results, "reader_two", "telegraf")
        print(f"Telegraf: {1 / ratios['cpu_ms_per_sweep']:.2f} times the CPU of the reader")
    else:
        print(f"Telegraf skipped: {reason}")
    if arguments.json:
        print(json.dumps(result | results))


def print_comparison(results: dict[str, dict[str, float]], first: str, second: str) -> dict[str, float]:
    """Prints two methods side by side; returns the ratios of the first to the second."""
    names = ("sweeps_per_s", "requests_per_sweep", "cpu_ms_per_sweep", "rss_mib")
    ratios = {name: results[first][name] / results[second][name] for name in names}
    print(f"{'':<20}{first:>12}{second:>12}{'ratio':>10}")
    for name in names:
        print(f"{name:<20}{results[first][name]:>12.1f}{results[second][name]:>12.1f}{ratios[name]:>10.2f}")
    return ratios


if __name__ == "__main__":
    main()
