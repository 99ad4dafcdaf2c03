"""Tables of benchmark results: comparisons with peers, and measurements of Rackstream alone. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Parts = Mapping[str, Mapping[str, Any]]


class Comparison(NamedTuple):
    """A cost compared with that of a peer; `peer_cost` is None if it was not measured, for the reason in `note`."""

    part: str
    work: str
    unit: str
    own_cost: float
    peer: str
    peer_cost: float | None
    note: str

    @property
    def ratio(self) -> float | None:
        """Cost of the peer as a multiple of our own."""
        return None if self.peer_cost is None else self.peer_cost / self.own_cost


class Measurement(NamedTuple):
    """A measurement of Rackstream alone."""

    part: str
    work: str
    unit: str
    value: float


def comparisons(parts: Parts) -> list[Comparison]:
    """Returns all comparisons, in the order of the pipeline."""
    table_makers = {"redfish": _redfish, "libvirt": _libvirt, "processors": _processors, "sinks": _sinks}
    return [row for part, make in table_makers.items() if part in parts for row in make(parts[part]["result"])]


def measurements(parts: Parts) -> list[Measurement]:
    """Returns all measurements of Rackstream alone."""
    table_makers = {"processors": _alerts, "latency": _latency, "polling": _growth, "growth": _growth}
    return [row for part, make in table_makers.items() if part in parts for row in make(parts[part]["result"])]


def _redfish(result: Mapping[str, Any]) -> Iterator[Comparison]:
    unit = "ms per poll of a BMC"
    own_cost = result["reader_two"]["cpu_ms_per_sweep"]
    peer_cost = result["telegraf"]["cpu_ms_per_sweep"] if "telegraf" in result else None
    note = result["missing"] or (
        f"thermal and power; {result['reader_two']['requests_per_sweep']:.0f} requests of Rackstream, "
        f"{result['telegraf']['requests_per_sweep']:.0f} of Telegraf"
    )
    yield Comparison("redfish", "Redfish, two categories", unit, own_cost, "Telegraf inputs.redfish", peer_cost, note)
    reader, loop = result["reader"], result["requests"]
    note = (
        f"{reader['requests_per_sweep']:.0f} and {loop['requests_per_sweep']:.0f} requests; the loop makes no records"
    )
    yield Comparison(
        "redfish",
        "Redfish, seven categories",
        unit,
        reader["cpu_ms_per_sweep"],
        "loop of `requests`",
        loop["cpu_ms_per_sweep"],
        note,
    )


def _libvirt(result: Mapping[str, Any]) -> Iterator[Comparison]:
    names = {
        "telegraf": (
            "Telegraf inputs.libvirt",
            "the same groups in bulk; writes lines to a file; Rackstream makes records",
        ),
        "calls": ("a call per device", "its results are discarded"),
    }
    own_cost = {(row["part"], row["vms"]): row["cpu_ms"] for row in result["rows"] if row["way"] == "reader"}
    for row in result["rows"]:
        if row["way"] in names:
            peer, note = names[row["way"]]
            what = f"libvirt, {row['vms']} VMs ({row['part']})"
            ours_ms = own_cost[row["part"], row["vms"]]
            yield Comparison("libvirt", what, "ms per poll", ours_ms, peer, row["cpu_ms"], note)


def _processors(result: Mapping[str, Any]) -> Iterator[Comparison]:
    names = {
        "streams": (
            "Kafka Streams",
            "the step in Java, JVM warm after 5 times the records (at most 30,000); same outputs",
        ),
        "quix": ("Quix Streams", "our step and codec, state in a dict without changelog; same outputs"),
        "naive": ("Faust, `events()` and `send`", "our step and codec; waits for each event's deliveries"),
        "unsafe": ("Faust, not waiting", "as above; loses undelivered outputs in a crash"),
        "bare": ("loop of confluent-kafka", "our step and codec; no groups, no recovery"),
        "step": ("the step alone", "no Kafka, no codec"),
    }
    us = result["us_per_record"]
    for case, (peer, note) in names.items():
        reason = result["missing"].get(case)
        if "faust" in us and (case in us or reason):
            yield Comparison(
                "processors", "VM step, 20 VMs", "µs per record", us["faust"], peer, us.get(case), reason or note
            )


def _sinks(result: Mapping[str, Any]) -> Iterator[Comparison]:
    us_per_line = {name: 1e6 / rate for name, rate in result["influx_lines_per_cpu_s"].items()}
    names = {
        "telegraf_records": ("Telegraf, JSON records by XPath", "the same records as JSON instead of Avro"),
        "telegraf_lines": ("Telegraf, ready-made lines", "the lines were made beforehand"),
    }
    for case, (peer, note) in names.items():
        yield Comparison(
            "sinks",
            "Kafka → InfluxDB",
            "µs per line",
            us_per_line["rackstream"],
            peer,
            us_per_line.get(case),
            result["reason"] or note,
        )
    bare = 1e6 / result["decode_lines_per_cpu_s"] + 1e6 / result["encode_lines_per_cpu_s"]
    yield Comparison(
        "sinks",
        "Kafka → InfluxDB",
        "µs per line",
        us_per_line["rackstream"],
        "decoding and encoding alone",
        bare,
        "no Kafka, no HTTP",
    )


def _alerts(result: Mapping[str, Any]) -> Iterator[Measurement]:
    if "latency" in result:
        latency = result["latency"]
        for percentile in ("p50", "p99"):
            what = f"sample → alert at {latency['records_per_s']:.0f} records/s, {percentile}"
            yield Measurement("processors", what, "s", latency[f"{percentile}_s"])


def _latency(result: Mapping[str, Any]) -> Iterator[Measurement]:
    for kind, what in (("raw", "sample → stored row"), ("derived", "sample → stored row of a processor")):
        for name in ("p50", "p99"):
            if kind in result:
                yield Measurement("latency", f"{what}, {name}", "s", result[kind][f"{name}_s"])


def _growth(result: Mapping[str, Any]) -> Iterator[Measurement]:
    for name, hosts, cost in costs(result):
        yield Measurement("growth", f"{name}, {hosts:,} hosts", "CPU s per host and hour", cost["cpu_s_per_host_hour"])
        yield Measurement("growth", f"{name}, {hosts:,} hosts", "MiB", cost["rss_mib"])


def costs(result: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, float]]]:
    """Yields process, number of hosts and costs, as measured for growing fleets."""
    for row in result["producer"]:
        yield "producer", row["bmcs"], row
    for name in ("processor", "sink"):
        for row in result["stream"]:
            yield name, row["hosts"], row[name]


def format_number(value: float) -> str:
    """Formats a number with three digits and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def text_table(rows: list[Comparison], own: list[Measurement]) -> str:
    """Returns the table for a terminal."""
    lines = []
    if rows:
        lines.append(f"{'CPU of':34}{'Rackstream':>10}  {'unit':22}{'compared with':34}{'other':>9}{'ratio':>8}")
    for row in rows:
        peer_cost = "–" if row.peer_cost is None else format_number(row.peer_cost)
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        reason = f"  {row.note}" if row.peer_cost is None else ""
        lines.append(
            f"{row.work:34}{format_number(row.own_cost):>10}  {row.unit:22}{row.peer:34}"
            f"{peer_cost:>9}{ratio:>8}{reason}"
        )
    lines += [f"{row.work:45}{format_number(row.value):>9}  {row.unit}" for row in own]
    return "\n".join(lines)
