"""The table of all parts, from what they found: rows next to a peer, and rows of ours alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Parts = Mapping[str, Mapping[str, Any]]


class Compared(NamedTuple):
    """One cost next to another's. None: the peer was not measured, and `note` says why."""

    part: str
    what: str
    unit: str
    ours: float
    peer: str
    theirs: float | None
    note: str

    @property
    def ratio(self) -> float | None:
        """Theirs as a multiple of ours."""
        return None if self.theirs is None else self.theirs / self.ours


class Single(NamedTuple):
    """One figure of ours."""

    part: str
    what: str
    unit: str
    value: float


def comparison(parts: Parts) -> list[Compared]:
    """All rows next to peers, in the order of the pipeline."""
    makers = {"redfish": _redfish, "libvirt": _libvirt, "processors": _processors, "sinks": _sinks}
    return [row for part, make in makers.items() if part in parts for row in make(parts[part]["result"])]


def single(parts: Parts) -> list[Single]:
    """All rows of ours alone."""
    makers = {"processors": _alerts, "latency": _latency, "polling": _growth, "growth": _growth}
    return [row for part, make in makers.items() if part in parts for row in make(parts[part]["result"])]


def _redfish(found: Mapping[str, Any]) -> Iterator[Compared]:
    unit = "ms per sweep of a BMC"
    ours = found["reader_two"]["cpu_ms_per_sweep"]
    theirs = found["telegraf"]["cpu_ms_per_sweep"] if "telegraf" in found else None
    note = found["missing"] or (
        f"thermal and power; {found['reader_two']['requests_per_sweep']:.0f} requests of ours, "
        f"{found['telegraf']['requests_per_sweep']:.0f} of Telegraf's"
    )
    yield Compared("redfish", "Redfish, two categories", unit, ours, "Telegraf inputs.redfish", theirs, note)
    reader, loop = found["reader"], found["requests"]
    note = (
        f"{reader['requests_per_sweep']:.0f} and {loop['requests_per_sweep']:.0f} requests; the loop makes no records"
    )
    yield Compared(
        "redfish",
        "Redfish, seven categories",
        unit,
        reader["cpu_ms_per_sweep"],
        "loop of `requests`",
        loop["cpu_ms_per_sweep"],
        note,
    )


def _libvirt(found: Mapping[str, Any]) -> Iterator[Compared]:
    names = {
        "telegraf": ("Telegraf inputs.libvirt", "the same groups in bulk; writes lines to a file, ours makes records"),
        "calls": ("a call per device", "what it reads is thrown away"),
    }
    ours = {(row["part"], row["vms"]): row["cpu_ms"] for row in found["rows"] if row["way"] == "reader"}
    for row in found["rows"]:
        if row["way"] in names:
            peer, note = names[row["way"]]
            what = f"libvirt, {row['vms']} VMs ({row['part']})"
            own = ours[row["part"], row["vms"]]
            yield Compared("libvirt", what, "ms per round", own, peer, row["cpu_ms"], note)


def _processors(found: Mapping[str, Any]) -> Iterator[Compared]:
    names = {
        "streams": (
            "Kafka Streams",
            "the step in Java, JVM warm after 5 times the records (at most 30,000); same outputs",
        ),
        "quix": ("Quix Streams", "our step and codec, state in a dict without changelog; same outputs"),
        "naive": ("Faust, `events()` and `send`", "our step and codec; waits for each event's deliveries"),
        "unsafe": ("Faust, not waiting", "as above; loses at a crash what is not delivered"),
        "bare": ("loop of confluent-kafka", "our step and codec; no groups, no recovery"),
        "step": ("the step alone", "no Kafka, no codec"),
    }
    us = found["us_per_record"]
    for case, (peer, note) in names.items():
        reason = found["missing"].get(case)
        if "faust" in us and (case in us or reason):
            yield Compared(
                "processors", "VM step, 20 VMs", "µs per record", us["faust"], peer, us.get(case), reason or note
            )


def _sinks(found: Mapping[str, Any]) -> Iterator[Compared]:
    each = {name: 1e6 / rate for name, rate in found["influx_lines_per_cpu_s"].items()}
    names = {
        "telegraf_records": ("Telegraf, JSON records by XPath", "the same records as JSON; ours are Avro"),
        "telegraf_lines": ("Telegraf, lines ready-made", "the lines are made by someone else before"),
    }
    for case, (peer, note) in names.items():
        yield Compared(
            "sinks",
            "Kafka → InfluxDB",
            "µs per line",
            each["rackstream"],
            peer,
            each.get(case),
            found["reason"] or note,
        )
    bare = 1e6 / found["decode_lines_per_cpu_s"] + 1e6 / found["encode_lines_per_cpu_s"]
    yield Compared(
        "sinks",
        "Kafka → InfluxDB",
        "µs per line",
        each["rackstream"],
        "decoding and encoding alone",
        bare,
        "no Kafka, no HTTP",
    )


def _alerts(found: Mapping[str, Any]) -> Iterator[Single]:
    if "latency" in found:
        told = found["latency"]
        yield Single("processors", f"sample → alert at {told['records_per_s']:.0f} records/s, p50", "s", told["p50_s"])
        yield Single("processors", f"sample → alert at {told['records_per_s']:.0f} records/s, p99", "s", told["p99_s"])


def _latency(found: Mapping[str, Any]) -> Iterator[Single]:
    for kind, what in (("raw", "sample → stored row"), ("derived", "sample → stored row of a processor")):
        for name in ("p50", "p99"):
            if kind in found:
                yield Single("latency", f"{what}, {name}", "s", found[kind][f"{name}_s"])


def _growth(found: Mapping[str, Any]) -> Iterator[Single]:
    for name, hosts, told in costs(found):
        yield Single("growth", f"{name}, {hosts:,} hosts", "CPU s per host and hour", told["cpu_s_per_host_hour"])
        yield Single("growth", f"{name}, {hosts:,} hosts", "MiB", told["rss_mib"])


def costs(found: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, float]]]:
    """(process, hosts, figures) of what was measured as a fleet grows."""
    for row in found["producer"]:
        yield "producer", row["bmcs"], row
    for name in ("processor", "sink"):
        for row in found["stream"]:
            yield name, row["hosts"], row[name]


def figure(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plain(rows: list[Compared], alone: list[Single]) -> str:
    """The table, for a terminal."""
    lines = []
    if rows:
        lines.append(f"{'CPU of':34}{'ours':>9}  {'unit':22}{'next to':34}{'theirs':>9}{'ratio':>8}")
    for row in rows:
        theirs = "–" if row.theirs is None else figure(row.theirs)
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        said = f"  {row.note}" if row.theirs is None else ""
        lines.append(f"{row.what:34}{figure(row.ours):>9}  {row.unit:22}{row.peer:34}{theirs:>9}{ratio:>8}{said}")
    lines += [f"{each.what:45}{figure(each.value):>9}  {each.unit}" for each in alone]
    return "\n".join(lines)
