"""Every metric of every process: name, kind, labels, unit, and which parts export it. Nowhere else is one made.

The list is also the documentation: `python -m runtime` writes docs/metrics.md from it. No metric carries the name of
its process: that is what Prometheus adds as labels of the target (`component`, `instance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

PRODUCER, REDFISH, PROCESSOR = "producer", "producer-redfish", "processor"
SINK, FILES, INFLUX, WEBHOOK = "sink", "sink-files", "sink-influx", "sink-webhook"
ALL: Final = ""
POLL_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""A round of libvirt takes hundredths of a second, a sweep of a BMC 1 to 60 s, and no poll more than 120 s."""
AGE_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1800.0, 21600.0)
"""From a pipeline that keeps up to one that works off what an outage has left."""
LABELS: Final = {
    "topic": "alias of the topic in schemas/topics.toml, the same under every prefix, such as `raw-redfish`",
    "partition": "number of the partition",
    "source": "`redfish`, `libvirt` or `host`",
    "vendor": "of the BMC: one of `producers/polling/vendors.py`, `other`, or empty where none is told",
    "status": "as in TargetStatus: `up`, `partial`, `slow`, `late`, `auth_failed`, `unreachable`; `unknown` before the "
    "first poll",
    "kind": "kind of the fault, such as `unreachable`, `denied`, `missing`",
    "cause": "why it was given up",
    "reason": "as in the dead letter",
    "step": "name of the step or join",
    "hop": "where the record has come to",
    "directory": "`data`, and `files` or `archive` where a sink keeps them",
    "version": "of Rackstream",
}
"""Label → what its values are."""
UNDECODABLE: Final = ("empty", "not-framed", "truncated", "unknown-schema", "foreign-schema")


@dataclass(frozen=True)
class Metric:
    """One line of the list."""

    name: str
    """As Prometheus has it."""
    kind: str
    unit: str
    doc: str
    labels: tuple[str, ...]
    parts: tuple[str, ...]
    """Components that export it, or what their names begin with before a `-`; `ALL`: each."""
    collector: MetricWrapperBase
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram."""
    starts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Part → values of its one label that are there from the start, at 0: what begins with its first case, Prometheus
    does not see increase."""

    def is_of(self, component: str) -> bool:
        """Whether a process exports it."""
        return any(part in (ALL, component) or component.startswith(f"{part}-") for part in self.parts)


LIST: Final[list[Metric]] = []


def _counter(
    name: str,
    unit: str,
    doc: str,
    parts: Sequence[str],
    labels: Sequence[str] = (),
    *,
    starts: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Counter:
    made = Counter(name, doc, labels, registry=None)
    LIST.append(Metric(f"{name}_total", "counter", unit, doc, tuple(labels), tuple(parts), made, starts=starts))
    return made


def _gauge(name: str, unit: str, doc: str, parts: Sequence[str], labels: Sequence[str] = ()) -> Gauge:
    made = Gauge(name, doc, labels, registry=None)
    LIST.append(Metric(name, "gauge", unit, doc, tuple(labels), tuple(parts), made))
    return made


def _histogram(
    name: str, buckets: Sequence[float], doc: str, parts: Sequence[str], labels: Sequence[str] = ()
) -> Histogram:
    made = Histogram(name, doc, labels, registry=None, buckets=buckets)
    LIST.append(Metric(name, "histogram", "seconds", doc, tuple(labels), tuple(parts), made, tuple(buckets)))
    return made


RECORDS_IN: Final = _counter(
    "rackstream_records_in", "records", "Records read from Kafka.", [PROCESSOR, SINK], ["topic"]
)
RECORDS_OUT: Final = _counter(
    "rackstream_records_out", "records", "Records written to Kafka and acknowledged.", [PRODUCER, PROCESSOR], ["topic"]
)
RECORDS_STORED: Final = _counter(
    "rackstream_records_stored", "records", "Records that a sink has stored, or delivered.", [SINK], ["topic"]
)
RECORDS_REPEATED: Final = _counter(
    "rackstream_records_repeated",
    "records",
    "Records left out, for the same one was stored from another offset.",
    [FILES],
    ["topic"],
)
LINES_STORED: Final = _counter(
    "rackstream_lines_stored", "lines", "Lines of line protocol that InfluxDB has stored.", [INFLUX]
)
RECORDS_REJECTED: Final = _counter(
    "rackstream_records_rejected",
    "records",
    "Records put on the dead letter.",
    [PROCESSOR, SINK],
    ["reason"],
    starts={
        PROCESSOR: (*UNDECODABLE, "step-failed", "rule-pack", "retention"),
        SINK: (*UNDECODABLE, "refused", "retention"),
    },
)
RETRIES: Final = _counter("rackstream_retries", "writes", "Writes that had to be tried again.", [SINK])
LAG: Final = _gauge(
    "rackstream_partition_lag_records",
    "records",
    "Records of a partition that have not been stepped, or stored, yet. Of the partitions that this process reads.",
    [PROCESSOR, SINK],
    ["topic", "partition"],
)
SAMPLE_AGE: Final = _histogram(
    "rackstream_sample_age_seconds",
    AGE_S,
    "From a record's observed_at to: `published`, its producer hears that Kafka has it, up to 0.25 s after the fact; "
    "`read`, a processor begins to step it; `derived`, Kafka has what was made of it; `stored`, a sink has stored it. "
    "By the wall clocks of the two machines; never negative.",
    [PRODUCER, PROCESSOR, SINK],
    ["hop", "topic"],
)
ALERT_LATENCY: Final = _histogram(
    "rackstream_alert_latency_seconds",
    AGE_S,
    "From observed_at of the reading that raised an alert to: `acknowledged`, Kafka has the transition; `delivered`, "
    "the webhook's receiver has it. Raises only, and none that was held back.",
    [PROCESSOR, WEBHOOK],
    ["hop"],
)
HELD_BACK: Final = _counter(
    "rackstream_alerts_held_back",
    "transitions",
    "Alert transitions not delivered because something muted them.",
    [WEBHOOK],
)
POLLS: Final = _counter(
    "rackstream_polls", "polls", "Polls of targets that have ended, by their result.", [PRODUCER], ["source", "status"]
)
POLL_SECONDS: Final = _histogram(
    "rackstream_poll_duration_seconds",
    POLL_S,
    "Time that a poll took, failed ones too.",
    [PRODUCER],
    ["source", "vendor"],
)
LATE_POLLS: Final = _counter(
    "rackstream_polls_late",
    "polls",
    "Polls that began more than half an interval late, or were left out.",
    [PRODUCER],
    ["source"],
)
TARGETS: Final = _gauge(
    "rackstream_targets", "targets", "Targets, by how they stand.", [PRODUCER], ["source", "status"]
)
SOURCE_REQUESTS: Final = _counter(
    "rackstream_source_requests", "requests", "Requests sent to targets.", [REDFISH], ["source"]
)
SOURCE_FAULTS: Final = _counter(
    "rackstream_source_faults", "requests", "Things asked of targets and not got.", [REDFISH], ["source", "kind"]
)
QUEUED: Final = _gauge(
    "rackstream_queued_records", "records", "Records handed over to the Kafka client and not acknowledged.", [PRODUCER]
)
SPOOLED_RECORDS: Final = _gauge(
    "rackstream_spooled_records", "records", "Records in the spool on disk, waiting for Kafka.", [PRODUCER]
)
SPOOLED_BYTES: Final = _gauge("rackstream_spooled_bytes", "bytes", "What these records take in the spool.", [PRODUCER])
RECORDS_DROPPED: Final = _counter(
    "rackstream_records_dropped",
    "records",
    "Records given up. The header of the next record of the same host and category names them.",
    [PRODUCER],
    ["cause"],
    starts={PRODUCER: ("does not fit its schema", "spool full", "too old")},
)
STEP_SECONDS: Final = _counter(
    "rackstream_step_seconds", "seconds", "Time spent in a step. Divided by the next: the mean.", [PROCESSOR], ["step"]
)
STEPPED: Final = _counter("rackstream_stepped_records", "records", "Records given to a step.", [PROCESSOR], ["step"])
RECORDS_LATE: Final = _counter(
    "rackstream_records_late",
    "records",
    "Records at or before one already stepped; stored, not stepped again.",
    [PROCESSOR],
    ["topic"],
)
OUTPUTS_REPEATED: Final = _counter(
    "rackstream_outputs_repeated",
    "records",
    "Outputs not sent again, being on the topic already.",
    [PROCESSOR],
    ["topic"],
)
DISK_FREE: Final = _gauge(
    "rackstream_disk_free_bytes", "bytes", "Free on the file system of a directory, for us.", [ALL], ["directory"]
)
DISK_SIZE: Final = _gauge(
    "rackstream_disk_size_bytes", "bytes", "Size of the file system of a directory.", [ALL], ["directory"]
)
BUILD: Final = _gauge("rackstream_build_info", "1", "Always 1; the version is its label.", [ALL], ["version"])

CLIENT: Final[Mapping[str, tuple[str, str, str]]] = {
    "process_start_time_seconds": ("gauge", "seconds", "When the process began, in Unix time."),
    "process_cpu_seconds_total": ("counter", "seconds", "CPU time of the process, user and system."),
    "process_resident_memory_bytes": ("gauge", "bytes", "Memory that the process has in RAM."),
    "process_virtual_memory_bytes": ("gauge", "bytes", "Address space of the process."),
    "process_open_fds": ("gauge", "files", "Open files and sockets."),
    "process_max_fds": ("gauge", "files", "How many it may open."),
    "python_info": ("gauge", "1", "Always 1; implementation and version of Python are its labels."),
    "python_gc_objects_collected_total": ("counter", "objects", "Objects that the garbage collector freed."),
    "python_gc_objects_uncollectable_total": ("counter", "objects", "Objects that it found and could not free."),
    "python_gc_collections_total": ("counter", "runs", "Its runs, by generation."),
}
"""What prometheus_client adds to each process: name → kind, unit, doc."""
