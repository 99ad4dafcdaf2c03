"""Prometheus metrics of all processes: name, type, unit, labels, and the components that export them.

Metrics are defined nowhere else, and docs/metrics.md is generated from this list. No metric names its process:
Prometheus adds that as labels of the target (`component`, `instance`).
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
ALL_COMPONENTS: Final = ""
POLL_BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""A libvirt poll takes hundredths of a second, a Redfish poll 1 to 60 s, and no poll more than 120 s."""
AGE_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1800.0, 21600.0)
"""From a pipeline that keeps up to one that catches up after an outage."""
LABELS: Final = {
    "topic": "alias of the topic in schemas/topics.toml, the same under every prefix, such as `raw-redfish`",
    "partition": "number of the partition",
    "source": "`redfish`, `libvirt` or `host`",
    "vendor": "vendor of the BMC: one of `producers/polling/vendors.py`, `other`, or empty if the BMC reports none",
    "status": "status as in TargetStatus: `up`, `partial`, `slow`, `late`, `auth_failed`, `unreachable`; `unknown` "
    "before the first poll",
    "kind": "kind of the fault, such as `unreachable`, `denied`, `missing`",
    "cause": "why the records were dropped",
    "reason": "reason as in the dead letter",
    "step": "name of the step or join",
    "hop": "stage that the record has reached",
    "directory": "`data`, and `files` or `archive` for sinks that store them",
    "version": "version of Rackstream",
}
"""Label → its values, for the documentation."""
DECODE_ERROR_REASONS: Final = ("empty", "not-framed", "truncated", "unknown-schema", "foreign-schema", "bad-schema")


@dataclass(frozen=True)
class Metric:
    """A metric with its documentation."""

    name: str
    """Name in Prometheus."""
    kind: str
    unit: str
    doc: str
    labels: tuple[str, ...]
    components: tuple[str, ...]
    """Components that export it. `sink` includes `sink-files` and so on; `ALL_COMPONENTS` means all."""
    collector: MetricWrapperBase
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram."""
    initial_label_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Component, or `ALL_COMPONENTS` → values of the metric's only label that exist from the start, at 0. Prometheus
    sees no increase in a series that begins with its first event."""

    def exported_by(self, component: str) -> bool:
        """True if processes of a component export the metric."""
        return any(name in (ALL_COMPONENTS, component) or component.startswith(f"{name}-") for name in self.components)


METRICS: Final[list[Metric]] = []


def _counter(
    name: str,
    unit: str,
    doc: str,
    components: Sequence[str],
    labels: Sequence[str] = (),
    *,
    initial_label_values: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Counter:
    counter = Counter(name, doc, labels, registry=None)
    METRICS.append(
        Metric(
            f"{name}_total",
            "counter",
            unit,
            doc,
            tuple(labels),
            tuple(components),
            counter,
            initial_label_values=initial_label_values,
        )
    )
    return counter


def _gauge(name: str, unit: str, doc: str, components: Sequence[str], labels: Sequence[str] = ()) -> Gauge:
    gauge = Gauge(name, doc, labels, registry=None)
    METRICS.append(Metric(name, "gauge", unit, doc, tuple(labels), tuple(components), gauge))
    return gauge


def _histogram(
    name: str, buckets: Sequence[float], doc: str, components: Sequence[str], labels: Sequence[str] = ()
) -> Histogram:
    histogram = Histogram(name, doc, labels, registry=None, buckets=buckets)
    METRICS.append(
        Metric(name, "histogram", "seconds", doc, tuple(labels), tuple(components), histogram, tuple(buckets))
    )
    return histogram


RECORDS_IN: Final = _counter(
    "rackstream_records_in", "records", "Records read from Kafka.", [PROCESSOR, SINK], ["topic"]
)
RECORDS_OUT: Final = _counter(
    "rackstream_records_out", "records", "Records written to Kafka and acknowledged.", [PRODUCER, PROCESSOR], ["topic"]
)
RECORDS_STORED: Final = _counter(
    "rackstream_records_stored", "records", "Records that a sink has stored or delivered.", [SINK], ["topic"]
)
RECORDS_REPEATED: Final = _counter(
    "rackstream_records_repeated",
    "records",
    "Records skipped because the same record was already stored from another offset.",
    [FILES],
    ["topic"],
)
LINES_STORED: Final = _counter(
    "rackstream_lines_stored", "lines", "Lines of line protocol that InfluxDB has stored.", [INFLUX]
)
RECORDS_REJECTED: Final = _counter(
    "rackstream_records_rejected",
    "records",
    "Records sent to the dead-letter topic.",
    [PROCESSOR, SINK],
    ["reason"],
    initial_label_values={
        PROCESSOR: (*DECODE_ERROR_REASONS, "step-failed", "rule-pack", "retention"),
        SINK: (*DECODE_ERROR_REASONS, "refused", "retention"),
    },
)
RECORDS_SKIPPED: Final = _counter(
    "rackstream_records_skipped",
    "records",
    "Records of a topic that this process reads for itself (schemas, state, commands) which it refused; the log names "
    "each with its offset.",
    [ALL_COMPONENTS],
    ["topic"],
    initial_label_values={ALL_COMPONENTS: ("schemas",)},
)
RETRIES: Final = _counter("rackstream_retries", "writes", "Writes that were retried.", [SINK])
PARTITION_LAG: Final = _gauge(
    "rackstream_partition_lag_records",
    "records",
    "Records of a partition that are not yet processed or stored, for the partitions that this process reads.",
    [PROCESSOR, SINK],
    ["topic", "partition"],
)
SAMPLE_AGE: Final = _histogram(
    "rackstream_sample_age_seconds",
    AGE_BUCKETS_S,
    "Time from a record's observed_at to: `published`, its producer has Kafka's acknowledgement, noticed up to 0.25 s "
    "late; `read`, a processor starts to process it; `derived`, Kafka has the derived records; `stored`, a sink has "
    "stored it. Measured by the wall clocks of the two machines; never negative.",
    [PRODUCER, PROCESSOR, SINK],
    ["hop", "topic"],
)
ALERT_LATENCY: Final = _histogram(
    "rackstream_alert_latency_seconds",
    AGE_BUCKETS_S,
    "Time from observed_at of the reading that raised an alert to: `acknowledged`, Kafka has the transition; "
    "`delivered`, the receiver of the webhook has it. Raised alerts only, without those held back.",
    [PROCESSOR, WEBHOOK],
    ["hop"],
)
ALERTS_HELD_BACK: Final = _counter(
    "rackstream_alerts_held_back",
    "transitions",
    "Alert transitions not delivered because a silence or an inhibition applies.",
    [WEBHOOK],
)
POLLS: Final = _counter(
    "rackstream_polls", "polls", "Completed polls of targets, by result.", [PRODUCER], ["source", "status"]
)
POLL_SECONDS: Final = _histogram(
    "rackstream_poll_duration_seconds",
    POLL_BUCKETS_S,
    "Duration of a poll, failed polls included.",
    [PRODUCER],
    ["source", "vendor"],
)
LATE_POLLS: Final = _counter(
    "rackstream_polls_late",
    "polls",
    "Polls that started more than half an interval late or were skipped.",
    [PRODUCER],
    ["source"],
)
TARGETS: Final = _gauge("rackstream_targets", "targets", "Targets by status.", [PRODUCER], ["source", "status"])
SOURCE_REQUESTS: Final = _counter(
    "rackstream_source_requests", "requests", "Requests sent to targets.", [REDFISH], ["source"]
)
SOURCE_FAULTS: Final = _counter(
    "rackstream_source_faults", "requests", "Requests to targets that failed.", [REDFISH], ["source", "kind"]
)
QUEUED_RECORDS: Final = _gauge(
    "rackstream_queued_records", "records", "Records passed to the Kafka client but not yet acknowledged.", [PRODUCER]
)
SPOOLED_RECORDS: Final = _gauge(
    "rackstream_spooled_records", "records", "Records in the spool on disk, waiting for Kafka.", [PRODUCER]
)
SPOOLED_BYTES: Final = _gauge("rackstream_spooled_bytes", "bytes", "Size of the spool on disk.", [PRODUCER])
RECORDS_DROPPED: Final = _counter(
    "rackstream_records_dropped",
    "records",
    "Records dropped. The header of the next record of the same host and category lists them.",
    [PRODUCER],
    ["cause"],
    initial_label_values={PRODUCER: ("does not fit its schema", "spool full", "too old")},
)
STEP_SECONDS: Final = _counter(
    "rackstream_step_seconds",
    "seconds",
    "Time spent in a step. Divide by rackstream_stepped_records_total for the mean.",
    [PROCESSOR],
    ["step"],
)
STEPPED_RECORDS: Final = _counter(
    "rackstream_stepped_records", "records", "Records processed by a step.", [PROCESSOR], ["step"]
)
RECORDS_LATE: Final = _counter(
    "rackstream_records_late",
    "records",
    "Records that arrived after a newer record of their series had been processed: stored raw, but not processed.",
    [PROCESSOR],
    ["topic"],
)
OUTPUTS_REPEATED: Final = _counter(
    "rackstream_outputs_repeated",
    "records",
    "Outputs not sent because they are already on the topic.",
    [PROCESSOR],
    ["topic"],
)
DISK_FREE: Final = _gauge(
    "rackstream_disk_free_bytes",
    "bytes",
    "Free space for this process on the file system of a directory.",
    [ALL_COMPONENTS],
    ["directory"],
)
DISK_SIZE: Final = _gauge(
    "rackstream_disk_size_bytes", "bytes", "Size of the file system of a directory.", [ALL_COMPONENTS], ["directory"]
)
BUILD_INFO: Final = _gauge(
    "rackstream_build_info", "1", "Always 1; the label holds the version.", [ALL_COMPONENTS], ["version"]
)

CLIENT_METRICS: Final[Mapping[str, tuple[str, str, str]]] = {
    "process_start_time_seconds": ("gauge", "seconds", "Start of the process, in Unix time."),
    "process_cpu_seconds_total": ("counter", "seconds", "CPU time of the process, user and system."),
    "process_resident_memory_bytes": ("gauge", "bytes", "Resident memory of the process."),
    "process_virtual_memory_bytes": ("gauge", "bytes", "Address space of the process."),
    "process_open_fds": ("gauge", "files", "Open files and sockets."),
    "process_max_fds": ("gauge", "files", "Limit of open files and sockets."),
    "python_info": ("gauge", "1", "Always 1; the labels hold implementation and version of Python."),
    "python_gc_objects_collected_total": ("counter", "objects", "Objects freed by the garbage collector."),
    "python_gc_objects_uncollectable_total": ("counter", "objects", "Objects the garbage collector could not free."),
    "python_gc_collections_total": ("counter", "runs", "Garbage collector runs, by generation."),
}
"""Metrics that prometheus_client adds to each process: name → type, unit, doc."""
