"""Record types. Made by `scripts/generate` from `avsc/`: change the `.avsc` files."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict


Transition = Literal["raised", "updated", "cleared", "UNKNOWN"]
"""Kind of transition."""


Severity = Literal["warning", "critical", "UNKNOWN"]
"""Severity of an alert."""


class Alert(TypedDict):
    """One transition of one alert."""

    id: str
    """Stable id: hash of rule, host, component and first breach."""
    revision: int
    """Number of the transition: 0 when raised, then one more at each transition. [1]"""
    transition: Transition
    """Kind of transition: raised, updated or cleared."""
    host: str
    """Host."""
    rule: str
    """Name of the rule."""
    component: str
    """Component within the host, such as <chassis>/<sensor>."""
    severity: Severity
    """Severity of the rule."""
    value: float | None
    """Value that the rule evaluated, in the unit of the rule's field. [{reading}]"""
    threshold: float | None
    """Threshold of the rule. [{reading}]"""
    text: str
    """Message for people."""
    started_at: datetime
    """observed_at of the first breach."""
    cause: str | None
    """Reason for clearing: recovered; gone: the component is no longer reported; unknown: its producer is silent."""
    observed_at: datetime
    """observed_at of the record that caused the transition."""
    category: str
    """Category of that record."""
    epoch: str
    """Epoch of that record."""
    sequence: int
    """Sequence of that record. [1]"""
    labels: dict[str, str]
    """Labels of the target and of the rule."""
    pack: str
    """Fingerprint of the rule pack that was evaluated."""


class AsOf(TypedDict):
    """Last record processed of one topic and category."""

    topic: str
    """Alias of the raw topic."""
    category: str
    """Category."""
    epoch: str
    """Epoch."""
    sequence: int
    """Sequence. [1]"""


class ActiveAlert(TypedDict):
    """One active alert."""

    id: str
    """Id."""
    revision: int
    """Last revision. [1]"""
    topic: str
    """Alias of the evaluated raw topic."""
    category: str
    """Category of the evaluated records."""
    rule: str
    """Name of the rule."""
    component: str
    """Component within the host, such as <chassis>/<sensor>."""
    severity: Severity
    """Severity of the rule."""
    value: float | None
    """Value that the rule evaluated, in the unit of the rule's field. [{reading}]"""
    threshold: float | None
    """Threshold of the rule. [{reading}]"""
    text: str
    """Message for people."""
    started_at: datetime
    """observed_at of the first breach."""
    unseen: int
    """Consecutive records without the component. [1]"""
    clear_count: int
    """Consecutive records past the clear threshold. [1]"""
    word: str | None
    """Evaluated value if it is a word, not a number."""
    told_at: datetime | None
    """observed_at of the last transition."""
    labels: dict[str, str]
    """Labels of the rule."""


class PendingAlert(TypedDict):
    """A breach that has not lasted long enough to raise an alert."""

    rule: str
    """Name of the rule."""
    component: str
    """Component."""
    topic: str
    """Alias of the evaluated raw topic."""
    category: str
    """Category of the evaluated records."""
    count: int
    """Consecutive breaching records. [1]"""
    started_at: datetime
    """observed_at of the first breach."""


class KnownComponent(TypedDict):
    """A component that a rule expects to be present."""

    rule: str
    """Name of the rule."""
    component: str
    """Component."""
    category: str
    """Category of the evaluated records."""
    unseen: int
    """Consecutive complete records without the component. [1]"""


class AlertState(TypedDict):
    """State of the alert engine for one host and source."""

    host: str
    """Host."""
    as_of: list[AsOf]
    """Last record processed per topic and category; records at or before it are skipped."""
    active: list[ActiveAlert]
    """Active alerts."""
    pending: list[PendingAlert]
    """Breaches that have not lasted long enough to raise an alert."""
    source: str
    """Alias of the evaluated raw topic; each source has its own state."""
    known: list[KnownComponent]
    """Components seen so far, for rules about missing components."""
    written_at: datetime | None
    """observed_at of the record at which this state was written."""


class SequenceRange(TypedDict):
    """Records that were numbered but never passed to Kafka."""

    first: int
    """First sequence of the range. [1]"""
    last: int
    """Last sequence of the range. [1]"""
    cause: str
    """Reason for dropping them."""
    epoch: str | None
    """Epoch of these records; null: the epoch of this record."""


class PollError(TypedDict):
    """Missing readings with the same cause."""

    field: str
    """Resource or field concerned."""
    cause: str
    """Cause."""
    count: int
    """Number of readings. [1]"""
    whole: bool
    """True: a whole resource or call failed, so the missing entries are not known. False: single values are missing."""


EventType = Literal["INFO", "WARNING", "ERROR", "DEBUG", "UNKNOWN"]
"""Severity of an event."""


class AppEvent(TypedDict):
    """An event in an application."""

    event_id: str
    """Unique identifier."""
    timestamp: datetime
    """Time of the event, UTC, by the application's clock."""
    event_type: EventType
    """Severity."""
    source: str
    """Component of the application that reported the event."""
    message: str
    """Message for people."""
    metadata: dict[str, bool | int | float | str | None]
    """Additional data. Nested values are JSON text; integers beyond 63 bits are text. [{any}]"""


class AppMetric(TypedDict):
    """One measurement of an application."""

    metric_id: str
    """Unique identifier."""
    timestamp: datetime
    """Time of the measurement, UTC, by the application's clock."""
    name: str
    """Name of the metric."""
    value: float
    """Measured value, in the unit given by the field `unit`. [{unit}]"""
    unit: str | None
    """Unit as given by the application."""
    tags: dict[str, bool | int | float | str | None]
    """Tags for filtering and grouping. Nested values are JSON text; integers beyond 63 bits are text. [{any}]"""


class AppExecutions(TypedDict):
    """Commands executed by a process since its collector started (the execution API)."""

    commands_executed: int
    """Cumulative commands executed. [{command}]"""
    successful_commands: int
    """Cumulative commands that succeeded. [{command}]"""
    failed_commands: int
    """Cumulative commands that failed. [{command}]"""
    total_execution_time: float
    """Cumulative time spent executing. [s]"""
    start_time: datetime
    """Start of counting, UTC, by the application's clock."""
    uptime_seconds: float
    """Time since start_time. [s]"""


class AppSample(TypedDict):
    """Report of one process of an application: the events and metrics of one flush, or its execution statistics."""

    host: str
    """Name in the fleet of the operating system on which the application runs; by default its host name."""
    category: str
    """Content of the record: telemetry (events and metrics of one flush) or executions."""
    observed_at: datetime
    """Time at which the batch was passed to the producer, UTC. Each event and metric has its own time."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed times. [s]"""
    producer: str
    """Name of the producing process: app-<source>-<number>@<host>."""
    epoch: str
    """Id of this run of the producer; later runs sort higher. Records are ordered by (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host, producer and category, from 0 without gaps. [1]"""
    previous_epoch: str | None
    """In an epoch's first record of a category: the previous epoch of this producer."""
    previous_sequence: int | None
    """Last sequence number of previous_epoch. Its records that are not on Kafka were never passed to Kafka. [1]"""
    dropped: list[SequenceRange]
    """Records of this producer and category dropped since the previous record."""
    duration_s: float
    """Time it took to make the record. [s]"""
    interval_s: float
    """0: records come when the application flushes. [s]"""
    errors: list[PollError]
    """Always empty, because applications are not polled."""
    labels: dict[str, str]
    """Labels of the application."""
    source: str
    """Name of the application, which may run on several hosts."""
    events: list[AppEvent]
    """Events in the order they were collected."""
    metrics: list[AppMetric]
    """Metrics in the order they were collected."""
    executions: list[AppExecutions]
    """At most one: the current statistics."""


Desired = Literal["running", "stopped"]
"""Desired state of a target."""


class Control(TypedDict):
    """Command to poll some targets or not. The most specific record about a target applies; targets without a record are polled."""

    key: str
    """Targets, from least to most specific: *; source:<source>; host:<host> (all sources); target:<source>:<host>."""
    desired: Desired
    """Desired state of the targets."""
    at: datetime
    """Time of the command."""
    by: str
    """User who gave the command."""
    reason: str
    """Reason of the user; may be empty."""


class DeadLetter(TypedDict):
    """A record that a stage could not process."""

    topic: str
    """Topic of the record."""
    partition: int
    """Partition. [1]"""
    offset: int
    """Offset. [1]"""
    stage: str
    """Stage that refused the record."""
    reason: str
    """Reason: truncated, not-framed, unknown-schema, foreign-schema, step-failed, …"""
    detail: str
    """Complete error message."""
    traceback: str | None
    """Traceback, if code failed."""
    key: bytes | None
    """Original key."""
    value: bytes | None
    """Original bytes; null if larger than 900 kB: then they are at topic, partition and offset."""
    size: int
    """Length of the original value. [By]"""
    appended_at: datetime | None
    """Time at which the record reached the broker."""
    failed_at: datetime
    """Time at which the stage refused the record."""


class DeviceRate(TypedDict):
    """Rates of one NIC or disk since its previous sample."""

    vmid: str
    """OpenNebula's VM number for domains named one-<n>, else libvirt's domain id."""
    name: str
    """Domain name."""
    uuid: str
    """Domain UUID."""
    devtype: str
    """nic or disk."""
    device: str
    """Name of the device."""
    interval_s: float
    """Time between the two samples. [s]"""
    rxbytes_rate: float | None
    """Rate of rxbytes (bytes received by the guest). Null: no baseline, reset, or unknown. [By/s]"""
    rxbytes_angle: float | None
    """atan of rxbytes_rate. [deg]"""
    rxpackets_rate: float | None
    """Rate of rxpackets (packets received). Null: no baseline, reset, or unknown. [{packet}/s]"""
    rxpackets_angle: float | None
    """atan of rxpackets_rate. [deg]"""
    rxerrors_rate: float | None
    """Rate of rxerrors (receive errors). Null: no baseline, reset, or unknown. [{error}/s]"""
    rxerrors_angle: float | None
    """atan of rxerrors_rate. [deg]"""
    rxdrops_rate: float | None
    """Rate of rxdrops (packets dropped on receive). Null: no baseline, reset, or unknown. [{packet}/s]"""
    rxdrops_angle: float | None
    """atan of rxdrops_rate. [deg]"""
    txbytes_rate: float | None
    """Rate of txbytes (bytes sent by the guest). Null: no baseline, reset, or unknown. [By/s]"""
    txbytes_angle: float | None
    """atan of txbytes_rate. [deg]"""
    txpackets_rate: float | None
    """Rate of txpackets (packets sent). Null: no baseline, reset, or unknown. [{packet}/s]"""
    txpackets_angle: float | None
    """atan of txpackets_rate. [deg]"""
    txerrors_rate: float | None
    """Rate of txerrors (send errors). Null: no baseline, reset, or unknown. [{error}/s]"""
    txerrors_angle: float | None
    """atan of txerrors_rate. [deg]"""
    txdrops_rate: float | None
    """Rate of txdrops (packets dropped on send). Null: no baseline, reset, or unknown. [{packet}/s]"""
    txdrops_angle: float | None
    """atan of txdrops_rate. [deg]"""
    rd_req_rate: float | None
    """Rate of rd_req (read requests). Null: no baseline, reset, or unknown. [{request}/s]"""
    rd_req_angle: float | None
    """atan of rd_req_rate. [deg]"""
    rd_bytes_rate: float | None
    """Rate of rd_bytes (bytes read). Null: no baseline, reset, or unknown. [By/s]"""
    rd_bytes_angle: float | None
    """atan of rd_bytes_rate. [deg]"""
    wr_reqs_rate: float | None
    """Rate of wr_reqs (write requests). Null: no baseline, reset, or unknown. [{request}/s]"""
    wr_reqs_angle: float | None
    """atan of wr_reqs_rate. [deg]"""
    wr_bytes_rate: float | None
    """Rate of wr_bytes (bytes written). Null: no baseline, reset, or unknown. [By/s]"""
    wr_bytes_angle: float | None
    """atan of wr_bytes_rate. [deg]"""
    errors_rate: float | None
    """Rate of errors (I/O errors; null if the hypervisor does not count them). Null: no baseline, reset, or unknown. [{error}/s]"""
    errors_angle: float | None
    """atan of errors_rate. [deg]"""


class DeviceRates(TypedDict):
    """Rates and angles of the NICs and disks of one raw record."""

    host: str
    """Host of the raw record this comes from."""
    category: str
    """Category of the raw record."""
    observed_at: datetime
    """observed_at of the raw record."""
    epoch: str
    """Epoch of the raw record."""
    sequence: int
    """Sequence of the raw record. With host, category and epoch, it identifies this record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    devices: list[DeviceRate]
    """Devices that have a previous sample."""


HealthStatus = Literal["ok", "warning", "critical", "unknown"]
"""Health status; unknown if nothing is reported."""


class SystemHealth(TypedDict):
    """Health of the systems, as they report it."""

    status: HealthStatus
    """Worst Status.Health."""
    unknown: int
    """Systems that are absent or report no health. [{part}]"""
    power_state: str | None
    """PowerState of the first system."""
    model: str | None
    """Model of the first system."""
    bios_version: str | None
    """BiosVersion of the first system."""


class ThermalHealth(TypedDict):
    """Thermal health: temperatures are high above 90 % of their critical threshold; fans as they report their health."""

    status: HealthStatus
    """Critical if at least half of the temperature sensors are high, or if a fan fails and no temperature is known."""
    unknown: int
    """Sensors and fans that are absent or report nothing. [{part}]"""
    high_temperature_sensors: int
    """Sensors above 90 % of their critical threshold. [{sensor}]"""
    total_temperature_sensors: int
    """Sensors with a reading. [{sensor}]"""
    failed_fans: int
    """Fans whose health is known and not OK. [{fan}]"""
    total_fans: int
    """Fans whose health is known. [{fan}]"""


class PowerHealth(TypedDict):
    """Health of the power supplies, as they report it."""

    status: HealthStatus
    """Worst Status.Health."""
    unknown: int
    """Supplies that are absent or report no health. [{part}]"""
    failed_supplies: int
    """Supplies whose health is known and not OK. [{supply}]"""
    total_supplies: int
    """Supplies whose health is known. [{supply}]"""


class ProcessorHealth(TypedDict):
    """Health of the processors, from the summary of each system."""

    status: HealthStatus
    """Worst ProcessorSummary.Status.Health."""
    unknown: int
    """Summaries that are absent or report no health. [{part}]"""
    count: int | None
    """Number of processors of the first system. [{cpu}]"""
    model: str | None
    """Processor model of the first system."""


class MemoryHealth(TypedDict):
    """Health of the memory, from the summary of each system."""

    status: HealthStatus
    """Worst MemorySummary.Status.Health."""
    unknown: int
    """Summaries that are absent or report no health. [{part}]"""
    total_system_memory_gib: float | None
    """Memory of the first system. [GiBy]"""


class StorageHealth(TypedDict):
    """Health of the drives, from their health and failure prediction."""

    status: HealthStatus
    """Critical if a drive failed, warning if a drive predicts its failure."""
    unknown: int
    """Drives that are absent or report no health. [{part}]"""
    failed_drives: int
    """Drives whose health is known and not OK. [{drive}]"""
    predicted_failures: int
    """Drives that predict their failure. [{drive}]"""
    total_drives: int
    """Drives whose health is known. [{drive}]"""


class HealthAlert(TypedDict):
    """One finding that lowers the health."""

    category: str
    """Category of the evaluated records."""
    rule: str
    """Kind of finding, such as fan-unhealthy."""
    component: str
    """Component within the host, such as <chassis>/<sensor>."""
    health: str | None
    """Status.Health, if that was evaluated."""
    value: float | None
    """Reading when the health last changed. [Cel]"""
    text: str
    """Message for people, with the reading when the health last changed."""


class Health(TypedDict):
    """Health of one host, derived from the latest record of each category of its BMC."""

    host: str
    """Host."""
    category: str
    """Category of the record at which this state was written."""
    observed_at: datetime
    """observed_at of that record."""
    epoch: str
    """Epoch of that record."""
    sequence: int
    """Sequence of that record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    overall: HealthStatus
    """Worst known component status; unknown if none is known."""
    unknown: int
    """Number of parts of all components that are absent or report no health. [{part}]"""
    system: SystemHealth
    """Component system."""
    thermal: ThermalHealth
    """Component thermal."""
    power: PowerHealth
    """Component power."""
    processor: ProcessorHealth
    """Component processor."""
    memory: MemoryHealth
    """Component memory."""
    storage: StorageHealth
    """Component storage."""
    alerts: list[HealthAlert]
    """Findings, by category, rule and component."""
    as_of: list[AsOf]
    """Last record processed per topic and category; records at or before it are skipped."""
    since: datetime | None
    """Start of the current health; an unchanged health is written again every 10 minutes."""


class FailingTarget(TypedDict):
    """A target that cannot be read."""

    host: str
    """Host."""
    status: str
    """Status: unreachable or auth_failed."""
    labels: dict[str, str]
    """Labels of the target."""


class Heartbeat(TypedDict):
    """Sign of life of a producer process."""

    producer: str
    """Name of the process."""
    epoch: str
    """Epoch of the process."""
    sequence: int
    """Number of the heartbeat in the epoch, from 0. [1]"""
    observed_at: datetime
    """Time of the heartbeat."""
    interval_s: float
    """Intended time until the next heartbeat. [s]"""
    source: str
    """redfish, libvirt or host."""
    targets: int
    """Number of targets that it polls. [{target}]"""
    records: int
    """Records passed to Kafka in this epoch. [{record}]"""
    dropped: int
    """Records dropped in this epoch. [{record}]"""
    polls: int
    """Polls in this epoch. [{poll}]"""
    failures: int
    """Failed polls in this epoch. [{poll}]"""
    queued: int
    """Records waiting for the broker. [{record}]"""
    spooled: int
    """Waiting records that are in the producer's spool on disk. [{record}]"""
    spooled_bytes: int
    """Size of the spool. [By]"""
    spool_oldest_at: datetime | None
    """Time of the oldest record in the spool; null: the spool is empty."""
    rejected: int
    """Records of this epoch that Kafka refused permanently. They are kept in a file beside the spool and also counted in dropped. [{record}]"""
    failing: list[FailingTarget]
    """Targets that cannot be read at the moment, by host; at most 100."""
    failing_count: int
    """Number of all targets that cannot be read. [{target}]"""
    stopped: list[str]
    """Hosts of targets whose polling is paused by a command; at most 100, those that could not be read before come first."""
    stopped_count: int
    """Number of all targets that cannot be read. [{target}]"""
    shared: bool
    """True: its targets are a share of fleet.targets, which other members of its group take over when it ends."""
    released: list[str]
    """Hosts of targets that it handed over to another member of its group while they could not be read; at most 100."""
    stopping: bool
    """True: the final heartbeat of a process that is stopping."""


class HostCoreRates(TypedDict):
    """One core."""

    core: str
    """Position of the core in the kernel's order, from 0."""
    user_s_rate: float | None
    """Rate of user_s (time in user mode). Null: no baseline, reset, or unknown. [s/s]"""
    user_s_angle: float | None
    """atan of user_s_rate. [deg]"""
    system_s_rate: float | None
    """Rate of system_s (time in kernel mode). Null: no baseline, reset, or unknown. [s/s]"""
    system_s_angle: float | None
    """atan of system_s_rate. [deg]"""
    idle_s_rate: float | None
    """Rate of idle_s (idle time). Null: no baseline, reset, or unknown. [s/s]"""
    idle_s_angle: float | None
    """atan of idle_s_rate. [deg]"""
    iowait_s_rate: float | None
    """Rate of iowait_s (time waiting for I/O). Null: no baseline, reset, or unknown. [s/s]"""
    iowait_s_angle: float | None
    """atan of iowait_s_rate. [deg]"""
    irq_s_rate: float | None
    """Rate of irq_s (time in interrupts). Null: no baseline, reset, or unknown. [s/s]"""
    irq_s_angle: float | None
    """atan of irq_s_rate. [deg]"""
    steal_s_rate: float | None
    """Rate of steal_s (time taken by the hypervisor). Null: no baseline, reset, or unknown. [s/s]"""
    steal_s_angle: float | None
    """atan of steal_s_rate. [deg]"""
    guest_s_rate: float | None
    """Rate of guest_s (time running guests). Null: no baseline, reset, or unknown. [s/s]"""
    guest_s_angle: float | None
    """atan of guest_s_rate. [deg]"""


class HostDiskRates(TypedDict):
    """One block device."""

    device: str
    """Name of the device."""
    read_bytes_rate: float | None
    """Rate of read_bytes (bytes read). Null: no baseline, reset, or unknown. [By/s]"""
    read_bytes_angle: float | None
    """atan of read_bytes_rate. [deg]"""
    write_bytes_rate: float | None
    """Rate of write_bytes (bytes written). Null: no baseline, reset, or unknown. [By/s]"""
    write_bytes_angle: float | None
    """atan of write_bytes_rate. [deg]"""
    read_count_rate: float | None
    """Rate of read_count (reads). Null: no baseline, reset, or unknown. [{operation}/s]"""
    read_count_angle: float | None
    """atan of read_count_rate. [deg]"""
    write_count_rate: float | None
    """Rate of write_count (writes). Null: no baseline, reset, or unknown. [{operation}/s]"""
    write_count_angle: float | None
    """atan of write_count_rate. [deg]"""
    busy_ms_rate: float | None
    """Rate of busy_ms (time doing I/O). Null: no baseline, reset, or unknown. [ms/s]"""
    busy_ms_angle: float | None
    """atan of busy_ms_rate. [deg]"""


class HostInterfaceRates(TypedDict):
    """One network interface."""

    device: str
    """Name of the interface."""
    rxbytes_rate: float | None
    """Rate of rxbytes (bytes received). Null: no baseline, reset, or unknown. [By/s]"""
    rxbytes_angle: float | None
    """atan of rxbytes_rate. [deg]"""
    rxpackets_rate: float | None
    """Rate of rxpackets (packets received). Null: no baseline, reset, or unknown. [{packet}/s]"""
    rxpackets_angle: float | None
    """atan of rxpackets_rate. [deg]"""
    rxerrors_rate: float | None
    """Rate of rxerrors (receive errors). Null: no baseline, reset, or unknown. [{error}/s]"""
    rxerrors_angle: float | None
    """atan of rxerrors_rate. [deg]"""
    rxdrops_rate: float | None
    """Rate of rxdrops (packets dropped on receive). Null: no baseline, reset, or unknown. [{packet}/s]"""
    rxdrops_angle: float | None
    """atan of rxdrops_rate. [deg]"""
    txbytes_rate: float | None
    """Rate of txbytes (bytes sent). Null: no baseline, reset, or unknown. [By/s]"""
    txbytes_angle: float | None
    """atan of txbytes_rate. [deg]"""
    txpackets_rate: float | None
    """Rate of txpackets (packets sent). Null: no baseline, reset, or unknown. [{packet}/s]"""
    txpackets_angle: float | None
    """atan of txpackets_rate. [deg]"""
    txerrors_rate: float | None
    """Rate of txerrors (send errors). Null: no baseline, reset, or unknown. [{error}/s]"""
    txerrors_angle: float | None
    """atan of txerrors_rate. [deg]"""
    txdrops_rate: float | None
    """Rate of txdrops (packets dropped on send). Null: no baseline, reset, or unknown. [{packet}/s]"""
    txdrops_angle: float | None
    """atan of txdrops_rate. [deg]"""


class HostRates(TypedDict):
    """Rates and angles of a host's own counters since the previous sample."""

    host: str
    """Host of the raw record this comes from."""
    category: str
    """Category of the raw record."""
    observed_at: datetime
    """observed_at of the raw record."""
    epoch: str
    """Epoch of the raw record."""
    sequence: int
    """Sequence of the raw record. With host, category and epoch, it identifies this record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    interval_s: float
    """Time between the two samples, by the producer's monotonic clock. [s]"""
    cpu_user_s_rate: float | None
    """Rate of cpu_user_s (time in user mode, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_user_s_angle: float | None
    """atan of cpu_user_s_rate. [deg]"""
    cpu_system_s_rate: float | None
    """Rate of cpu_system_s (time in kernel mode, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_system_s_angle: float | None
    """atan of cpu_system_s_rate. [deg]"""
    cpu_idle_s_rate: float | None
    """Rate of cpu_idle_s (idle time, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_idle_s_angle: float | None
    """atan of cpu_idle_s_rate. [deg]"""
    cpu_iowait_s_rate: float | None
    """Rate of cpu_iowait_s (time waiting for I/O, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_iowait_s_angle: float | None
    """atan of cpu_iowait_s_rate. [deg]"""
    cpu_irq_s_rate: float | None
    """Rate of cpu_irq_s (time in interrupts, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_irq_s_angle: float | None
    """atan of cpu_irq_s_rate. [deg]"""
    cpu_steal_s_rate: float | None
    """Rate of cpu_steal_s (time taken by the hypervisor, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_steal_s_angle: float | None
    """atan of cpu_steal_s_rate. [deg]"""
    cpu_guest_s_rate: float | None
    """Rate of cpu_guest_s (time running guests, all cores). Null: no baseline, reset, or unknown. [s/s]"""
    cpu_guest_s_angle: float | None
    """atan of cpu_guest_s_rate. [deg]"""
    swap_in_rate: float | None
    """Rate of swap_in (bytes swapped in). Null: no baseline, reset, or unknown. [By/s]"""
    swap_in_angle: float | None
    """atan of swap_in_rate. [deg]"""
    swap_out_rate: float | None
    """Rate of swap_out (bytes swapped out). Null: no baseline, reset, or unknown. [By/s]"""
    swap_out_angle: float | None
    """atan of swap_out_rate. [deg]"""
    cores: list[HostCoreRates]
    """Cores that have a previous sample."""
    disks: list[HostDiskRates]
    """Block devices that have a previous sample."""
    interfaces: list[HostInterfaceRates]
    """Network interfaces that have a previous sample."""


class CpuTimes(TypedDict):
    """Cumulative CPU times (psutil.cpu_times)."""

    user_s: float
    """Cumulative time in user mode. [s]"""
    system_s: float
    """Cumulative time in kernel mode. [s]"""
    idle_s: float
    """Cumulative idle time. [s]"""
    iowait_s: float | None
    """Cumulative time waiting for I/O. [s]"""
    irq_s: float | None
    """Cumulative time in interrupts, hard and soft. [s]"""
    steal_s: float | None
    """Cumulative time taken by the hypervisor. [s]"""
    guest_s: float | None
    """Cumulative time running guests. [s]"""


class HostDisk(TypedDict):
    """One block device (psutil.disk_io_counters)."""

    device: str
    """Name of the device."""
    read_bytes: int | None
    """Cumulative bytes read. [By]"""
    write_bytes: int | None
    """Cumulative bytes written. [By]"""
    read_count: int | None
    """Cumulative reads. [{operation}]"""
    write_count: int | None
    """Cumulative writes. [{operation}]"""
    busy_ms: int | None
    """Cumulative time doing I/O. [ms]"""


class HostFilesystem(TypedDict):
    """One mounted file system (psutil.disk_usage)."""

    mountpoint: str
    """Mount point."""
    device: str
    """Mounted device."""
    fstype: str
    """Type of file system."""
    total: int | None
    """Size. [By]"""
    used: int | None
    """In use. [By]"""
    free: int | None
    """Free for unprivileged users. [By]"""


class HostInterface(TypedDict):
    """One network interface (psutil.net_io_counters)."""

    device: str
    """Name of the interface."""
    up: bool | None
    """True: the interface is up."""
    speed_mbps: int | None
    """Link speed; null if unknown. [Mbit/s]"""
    rxbytes: int | None
    """Cumulative bytes received. [By]"""
    rxpackets: int | None
    """Cumulative packets received. [{packet}]"""
    rxerrors: int | None
    """Cumulative receive errors. [{error}]"""
    rxdrops: int | None
    """Cumulative packets dropped on receive. [{packet}]"""
    txbytes: int | None
    """Cumulative bytes sent. [By]"""
    txpackets: int | None
    """Cumulative packets sent. [{packet}]"""
    txerrors: int | None
    """Cumulative send errors. [{error}]"""
    txdrops: int | None
    """Cumulative packets dropped on send. [{packet}]"""


class HostTemperature(TypedDict):
    """One sensor (psutil.sensors_temperatures)."""

    sensor: str
    """Chip, label and position."""
    reading_celsius: float | None
    """Reading. [Cel]"""
    upper_threshold_critical: float | None
    """Critical limit. [Cel]"""


class HostFan(TypedDict):
    """One fan (psutil.sensors_fans)."""

    sensor: str
    """Chip, label and position."""
    speed_rpm: float | None
    """Speed. [rpm]"""


class HostSample(TypedDict):
    """One psutil sample of a host. Values that the platform does not provide are null or an empty list."""

    host: str
    """Name of the operating system or enclosure in the fleet."""
    category: str
    """Kind of reading: host."""
    observed_at: datetime
    """Time at which the producer finished reading, UTC. It does not define the order of records."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed times. [s]"""
    producer: str
    """Name of the producing process."""
    epoch: str
    """Id of this run of the producer; later runs sort higher. Records are ordered by (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host and category, from 0 without gaps. [1]"""
    previous_epoch: str | None
    """In an epoch's first record of a host and category: the previous epoch."""
    previous_sequence: int | None
    """Last sequence number of previous_epoch. Its records that are not on Kafka were never passed to Kafka. [1]"""
    dropped: list[SequenceRange]
    """Records of this host and category dropped since the previous record."""
    duration_s: float
    """Duration of the poll. [s]"""
    interval_s: float
    """Intended time between two polls. [s]"""
    errors: list[PollError]
    """Readings that this poll could not obtain. A missing reading is null, never 0."""
    labels: dict[str, str]
    """Labels of the target from fleet.yaml."""
    boot_at: datetime | None
    """Boot time as the host reports it."""
    uptime_s: float | None
    """Time since boot. [s]"""
    cpu_percent: float | None
    """CPU use of all cores since the previous sample; null in the first sample of an epoch. [%]"""
    cpu: CpuTimes | None
    """Sum over all cores."""
    cores: list[CpuTimes]
    """Each core, in the kernel's order."""
    load_1: float | None
    """Load average of 1 min. [1]"""
    load_5: float | None
    """Load average of 5 min. [1]"""
    load_15: float | None
    """Load average of 15 min. [1]"""
    memory_total: int | None
    """Physical memory. [By]"""
    memory_available: int | None
    """Memory available to processes without swapping. [By]"""
    memory_used: int | None
    """Memory in use. [By]"""
    memory_cached: int | None
    """Memory used for caches. [By]"""
    swap_total: int | None
    """Swap space. [By]"""
    swap_used: int | None
    """Swap space in use. [By]"""
    swap_in: int | None
    """Cumulative bytes swapped in. [By]"""
    swap_out: int | None
    """Cumulative bytes swapped out. [By]"""
    processes: int | None
    """Number of processes. [{process}]"""
    disks: list[HostDisk]
    """Block devices."""
    filesystems: list[HostFilesystem]
    """Physical file systems."""
    interfaces: list[HostInterface]
    """Network interfaces."""
    temperatures: list[HostTemperature]
    """Temperatures."""
    fans: list[HostFan]
    """Fans."""


class DomainNic(TypedDict):
    """One network interface of a domain (libvirt virDomainInterfaceStats), seen from the guest."""

    device: str
    """Target device of the interface, or its MAC address if it has none."""
    rxbytes: int | None
    """Cumulative bytes received by the guest. [By]"""
    rxpackets: int | None
    """Cumulative packets received. [{packet}]"""
    rxerrors: int | None
    """Cumulative receive errors. [{error}]"""
    rxdrops: int | None
    """Cumulative packets dropped on receive. [{packet}]"""
    txbytes: int | None
    """Cumulative bytes sent by the guest. [By]"""
    txpackets: int | None
    """Cumulative packets sent. [{packet}]"""
    txerrors: int | None
    """Cumulative send errors. [{error}]"""
    txdrops: int | None
    """Cumulative packets dropped on send. [{packet}]"""
    mac: str | None
    """MAC address, from the domain's XML."""
    alias: str | None
    """libvirt's alias of the device, such as net0, from the XML."""
    source: str | None
    """Bridge, network or host device it is connected to, from the XML."""


class DomainDisk(TypedDict):
    """One disk of a domain (libvirt virDomainBlockStats)."""

    device: str
    """Target of the disk, such as vda."""
    rd_req: int | None
    """Cumulative read requests. [{request}]"""
    rd_bytes: int | None
    """Cumulative bytes read. [By]"""
    wr_reqs: int | None
    """Cumulative write requests. [{request}]"""
    wr_bytes: int | None
    """Cumulative bytes written. [By]"""
    errors: int | None
    """Cumulative I/O errors; null if the hypervisor does not count them. [{error}]"""
    alias: str | None
    """libvirt's alias of the device, such as virtio-disk0, from the XML."""
    bus: str | None
    """Bus of the disk, such as virtio, from the XML."""


class Domain(TypedDict):
    """One active domain at one poll. Values that libvirt reports as -1 or not at all are null."""

    vmid: str
    """OpenNebula's VM number for domains named one-<n>, else libvirt's domain id."""
    name: str
    """Domain name."""
    uuid: str
    """Domain UUID."""
    domain_id: int | None
    """libvirt's id of this run of the domain; a new id is a new baseline for every counter. [1]"""
    state: int
    """libvirt's virDomainState: 1 running, 3 paused, 5 shut off, … [1]"""
    state_reason: int | None
    """libvirt's reason code of the state. [1]"""
    stale: bool
    """True: the hypervisor did not answer for this domain; the values are those of an earlier poll."""
    cpus: int | None
    """Virtual CPUs. [{cpu}]"""
    memory_max_kb: int | None
    """Maximum memory, KiB. [KiBy]"""
    memory_used_kb: int | None
    """Current memory (balloon), KiB. [KiBy]"""
    cputime: int | None
    """Cumulative CPU time, ns. [ns]"""
    timeusr: int | None
    """Cumulative CPU time in user mode, ns. [ns]"""
    timesys: int | None
    """Cumulative CPU time in system mode, ns. [ns]"""
    memactual: int | None
    """Memory given to the guest (balloon), KiB. [KiBy]"""
    memrss: int | None
    """Resident memory of the domain's process, KiB. [KiBy]"""
    memavailable: int | None
    """Total memory visible to the guest, KiB. [KiBy]"""
    memusable: int | None
    """Memory the guest can use without swapping, KiB. [KiBy]"""
    memswap_in: int | None
    """Cumulative memory swapped in, KiB. [KiBy]"""
    memswap_out: int | None
    """Cumulative memory swapped out, KiB. [KiBy]"""
    memmajor_fault: int | None
    """Cumulative major page faults. [{fault}]"""
    memminor_fault: int | None
    """Cumulative minor page faults. [{fault}]"""
    memdisk_cache: int | None
    """Guest memory used for disk caches, KiB. [KiBy]"""
    memlast_update: int | None
    """Time of the guest's latest memory statistics, seconds since 1970; they are frozen if it does not change. [s]"""
    nics: list[DomainNic]
    """Network interfaces."""
    disks: list[DomainDisk]
    """Disks (device type disk)."""
    title: str | None
    """Title of the domain, from its XML."""
    cloud_name: str | None
    """The VM's name in the cloud that runs it (OpenNebula or Nova), from the XML's metadata."""
    cloud_project: str | None
    """Nova's project or OpenNebula's group of the VM."""
    cloud_user: str | None
    """Owner of the VM in the cloud."""
    cloud_flavor: str | None
    """Nova's flavor of the VM."""


class LibvirtSample(TypedDict):
    """All active domains of one libvirt connection at one poll."""

    host: str
    """Name of the operating system or enclosure in the fleet."""
    category: str
    """Kind of reading: domains."""
    observed_at: datetime
    """Time at which the producer finished reading, UTC. It does not define the order of records."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed times. [s]"""
    producer: str
    """Name of the producing process."""
    epoch: str
    """Id of this run of the producer; later runs sort higher. Records are ordered by (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host and category, from 0 without gaps. [1]"""
    previous_epoch: str | None
    """In an epoch's first record of a host and category: the previous epoch."""
    previous_sequence: int | None
    """Last sequence number of previous_epoch. Its records that are not on Kafka were never passed to Kafka. [1]"""
    dropped: list[SequenceRange]
    """Records of this host and category dropped since the previous record."""
    duration_s: float
    """Duration of the poll. [s]"""
    interval_s: float
    """Intended time between two polls. [s]"""
    errors: list[PollError]
    """Readings that this poll could not obtain. A missing reading is null, never 0."""
    labels: dict[str, str]
    """Labels of the target from fleet.yaml."""
    uri: str
    """libvirt URI, without user or password."""
    hypervisor: str | None
    """Driver of the connection (virConnectGetType)."""
    domains: list[Domain]
    """Active domains, in no particular order."""


class PowerSupply(TypedDict):
    """One supply in the analysis."""

    name: str | None
    """Name."""
    capacity: float | None
    """Capacity. [W]"""
    efficiency: float | None
    """Efficiency. [%]"""
    health: str | None
    """Health."""


class VoltageReading(TypedDict):
    """One rail in the analysis."""

    name: str | None
    """Name."""
    voltage: float | None
    """Reading. [V]"""
    context: str | None
    """Physical context."""


class Power(TypedDict):
    """Power analysis of one host."""

    host: str
    """Host of the raw record this comes from."""
    category: str
    """Category of the raw record."""
    observed_at: datetime
    """observed_at of the raw record."""
    epoch: str
    """Epoch of the raw record."""
    sequence: int
    """Sequence of the raw record. With host, category and epoch, it identifies this record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    consumed_watts: float | None
    """Sum over chassis of the total PowerControl entry. [W]"""
    available_watts: float | None
    """Sum over chassis of PowerAvailableWatts of that entry. [W]"""
    power_utilization_percent: float | None
    """consumed_watts as a percentage of available_watts. [%]"""
    average_psu_efficiency: float | None
    """Mean of the efficiencies that the supplies report. [%]"""
    interval_s: float | None
    """Time since the previous sample. [s]"""
    energy_joules: float | None
    """Energy of the interval by the trapezoidal rule; null without a previous sample. [J]"""
    psu_input_watts: float | None
    """Sum of the input power that the supplies report, for comparison with consumed_watts. [W]"""
    psu_output_watts: float | None
    """Sum of the output power that the supplies report. [W]"""
    psu_input_partial: bool
    """True: some supplies report no input power; psu_input_watts is the sum over the others."""
    consumed_of_psu_input_percent: float | None
    """consumed_watts as a percentage of psu_input_watts: about 100 if the BMC measures the whole enclosure. Null if a supply reports no input power. [%]"""
    power_supplies: list[PowerSupply]
    """Supplies."""
    voltage_readings: list[VoltageReading]
    """Rails."""


ProducerStatus = Literal["alive", "silent", "stopped", "unknown"]
"""State of a producer."""


class HeldTarget(TypedDict):
    """A target that has been failing for too few heartbeats to raise an alert."""

    host: str
    """Host."""
    status: str
    """Status: unreachable or auth_failed."""
    beats: int
    """Consecutive heartbeats that report it as failing. [1]"""


class PresenceAlert(TypedDict):
    """One active alert of a producer or its targets."""

    id: str
    """Id."""
    revision: int
    """Last revision. [1]"""
    rule: str
    """producer-silent, targets-failing, target-unreachable or target-auth-failed."""
    host: str
    """Host of the target; the producer for alerts about it or many of its targets."""
    component: str
    """Producer."""
    severity: str
    """warning or critical."""
    value: float | None
    """Number of affected targets. [{target}]"""
    text: str
    """Message for people."""
    started_at: datetime
    """Start of the condition, as far as heartbeats show it."""
    told_at: datetime
    """Time of the last transition."""
    labels: dict[str, str]
    """Labels of the target."""


class PresenceState(TypedDict):
    """State of one producer, derived from its heartbeats."""

    producer: str
    """Producer."""
    as_of: list[AsOf]
    """Last heartbeat processed; the category is the producer."""
    source: str
    """Source that it polls: redfish, libvirt or host."""
    targets: int
    """Number of targets that it polls. [{target}]"""
    interval_s: float
    """Intended time between two heartbeats. [s]"""
    clock_s: float
    """Its last heartbeat by the presence clock, which stands still while no producer sends heartbeats. [s]"""
    appended_at: datetime
    """Time at which that heartbeat reached Kafka."""
    status: ProducerStatus
    """State of the producer. The targets of a silent producer are unknown."""
    held: list[HeldTarget]
    """Targets that have not been failing long enough to raise an alert."""
    alerts: list[PresenceAlert]
    """Active alerts."""
    grouped: list[str]
    """Affected targets of a targets-failing alert."""
    shared: bool
    """True: other members of its group take over its targets when it is silent."""


class BootSource(TypedDict):
    """ComputerSystem.Boot."""

    boot_source_override_enabled: str | None
    """BootSourceOverrideEnabled."""
    boot_source_override_target: str | None
    """BootSourceOverrideTarget."""
    boot_source_override_mode: str | None
    """BootSourceOverrideMode."""
    uefi_target_boot_source_override: str | None
    """UefiTargetBootSourceOverride."""


class ProcessorSummary(TypedDict):
    """ComputerSystem.ProcessorSummary."""

    count: int | None
    """Count. [{cpu}]"""
    model: str | None
    """Model."""
    status_health: str | None
    """Status.Health."""
    status_state: str | None
    """Status.State."""


class MemorySummary(TypedDict):
    """ComputerSystem.MemorySummary."""

    total_system_memory_gib: float | None
    """TotalSystemMemoryGiB. [GiBy]"""
    status_health: str | None
    """Status.Health."""
    status_state: str | None
    """Status.State."""


class RedfishSystem(TypedDict):
    """One ComputerSystem (DMTF ComputerSystem v1_20)."""

    system_id: str
    """Id."""
    odata_id: str | None
    """@odata.id."""
    power_state: str | None
    """PowerState."""
    system_type: str | None
    """SystemType: Physical, Virtual, …."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    boot_source: BootSource
    """Boot configuration."""
    processor_summary: ProcessorSummary
    """CPU summary."""
    memory_summary: MemorySummary
    """Memory summary."""
    bios_version: str | None
    """BiosVersion."""
    model: str | None
    """Model."""
    manufacturer: str | None
    """Manufacturer."""
    serial_number: str | None
    """SerialNumber."""
    part_number: str | None
    """PartNumber."""
    uuid: str | None
    """UUID."""


class RedfishTemperature(TypedDict):
    """One entry of Thermal.Temperatures (DMTF Thermal v1_7), or of ThermalMetrics.TemperatureReadingsCelsius if a Chassis has no Thermal."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array if the BMC gives none."""
    sensor_name: str | None
    """Name."""
    reading_celsius: float | None
    """ReadingCelsius; null if the sensor is absent or has no reading. [Cel]"""
    upper_threshold_critical: float | None
    """UpperThresholdCritical. [Cel]"""
    upper_threshold_fatal: float | None
    """UpperThresholdFatal. [Cel]"""
    lower_threshold_critical: float | None
    """LowerThresholdCritical. [Cel]"""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    physical_context: str | None
    """PhysicalContext."""


class RedfishFan(TypedDict):
    """One entry of Thermal.Fans (DMTF Thermal v1_7), or one Fan of a ThermalSubsystem if a Chassis has no Thermal. With a reading, exactly one of the two speeds is set."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array if the BMC gives none."""
    sensor_name: str | None
    """Name."""
    speed_rpm: float | None
    """Reading if ReadingUnits is RPM. [rpm]"""
    speed_percent: float | None
    """Reading if ReadingUnits is Percent. [%]"""
    upper_threshold_critical: float | None
    """UpperThresholdCritical, in the unit of the reading. [{reading}]"""
    lower_threshold_critical: float | None
    """LowerThresholdCritical, in the unit of the reading. [{reading}]"""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    physical_context: str | None
    """PhysicalContext."""


class RedfishPowerControl(TypedDict):
    """One entry of Power.PowerControl (DMTF Power v1_7). The first entry of a chassis is its total."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array if the BMC gives none."""
    sensor_name: str | None
    """Name."""
    power_consumed_watts: float | None
    """PowerConsumedWatts. [W]"""
    power_requested_watts: float | None
    """PowerRequestedWatts. [W]"""
    power_available_watts: float | None
    """PowerAvailableWatts. [W]"""
    power_capacity_watts: float | None
    """PowerCapacityWatts. [W]"""
    power_allocated_watts: float | None
    """PowerAllocatedWatts. [W]"""
    power_limit: float | None
    """PowerLimit.LimitInWatts. [W]"""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""


class RedfishVoltage(TypedDict):
    """One entry of Power.Voltages (DMTF Power v1_7)."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array if the BMC gives none."""
    sensor_name: str | None
    """Name."""
    reading_volts: float | None
    """ReadingVolts. [V]"""
    upper_threshold_critical: float | None
    """UpperThresholdCritical. [V]"""
    upper_threshold_fatal: float | None
    """UpperThresholdFatal. [V]"""
    lower_threshold_critical: float | None
    """LowerThresholdCritical. [V]"""
    lower_threshold_fatal: float | None
    """LowerThresholdFatal. [V]"""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    physical_context: str | None
    """PhysicalContext."""


class RedfishPowerSupply(TypedDict):
    """One entry of Power.PowerSupplies (DMTF Power v1_7), or one PowerSupply of a PowerSubsystem if a Chassis has no Power."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array if the BMC gives none."""
    sensor_name: str | None
    """Name."""
    power_capacity_watts: float | None
    """PowerCapacityWatts. [W]"""
    power_input_watts: float | None
    """PowerInputWatts. [W]"""
    power_output_watts: float | None
    """PowerOutputWatts, else LastPowerOutputWatts. [W]"""
    efficiency_percent: float | None
    """EfficiencyPercent. [%]"""
    line_input_voltage: float | None
    """LineInputVoltage. [V]"""
    line_input_voltage_type: str | None
    """LineInputVoltageType."""
    model: str | None
    """Model."""
    manufacturer: str | None
    """Manufacturer."""
    serial_number: str | None
    """SerialNumber."""
    part_number: str | None
    """PartNumber."""
    firmware_version: str | None
    """FirmwareVersion."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""


class CacheMetrics(TypedDict):
    """ProcessorMetrics.CacheMetricsTotal.CurrentPeriod (DMTF ProcessorMetrics v1_6): since the BMC last cleared it."""

    cache_misses: float | None
    """CacheMiss: misses, in millions. [10*6{miss}]"""
    cache_misses_per_instruction: float | None
    """CacheMissesPerInstruction. [{miss}/{instruction}]"""
    hit_ratio: float | None
    """HitRatio. [1]"""
    occupancy_bytes: float | None
    """OccupancyBytes. [By]"""
    occupancy_percent: float | None
    """OccupancyPercent. [%]"""


class RedfishProcessor(TypedDict):
    """One Processor of a ComputerSystem (DMTF Processor v1_20): CPUs, and GPUs and other accelerators by processor_type."""

    system_id: str
    """Id of the ComputerSystem, or the last segment of its URI if the BMC gives none."""
    odata_id: str | None
    """URI of the resource, or @odata.id of the entry."""
    processor_id: str
    """Id, or the last segment of its URI if the BMC gives none."""
    socket: str | None
    """Socket."""
    processor_type: str | None
    """ProcessorType: CPU, GPU, FPGA, …."""
    architecture: str | None
    """ProcessorArchitecture."""
    instruction_set: str | None
    """InstructionSet."""
    manufacturer: str | None
    """Manufacturer."""
    model: str | None
    """Model."""
    max_speed_mhz: int | None
    """MaxSpeedMHz. [MHz]"""
    total_cores: int | None
    """TotalCores. [{core}]"""
    total_threads: int | None
    """TotalThreads. [{thread}]"""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State; Absent: an empty slot, whose numbers are all null."""
    operating_speed_mhz: int | None
    """ProcessorMetrics.OperatingSpeedMHz, else Processor.OperatingSpeedMHz. [MHz]"""
    temperature_celsius: float | None
    """EnvironmentMetrics.TemperatureCelsius.Reading, else ProcessorMetrics.TemperatureCelsius. [Cel]"""
    consumed_power_watts: float | None
    """EnvironmentMetrics.PowerWatts.Reading, else ProcessorMetrics.ConsumedPowerWatt. [W]"""
    cache_metrics: CacheMetrics
    """Cache performance; all null if the BMC has no ProcessorMetrics with it."""


class RedfishDimm(TypedDict):
    """One Memory of a ComputerSystem (DMTF Memory v1_20): a DIMM, an empty slot, or memory of a GPU."""

    system_id: str
    """Id of the ComputerSystem, or the last segment of its URI if the BMC gives none."""
    odata_id: str | None
    """URI of the resource, or @odata.id of the entry."""
    memory_id: str
    """Id, or the last segment of its URI if the BMC gives none."""
    device_locator: str | None
    """DeviceLocator, else Location.PartLocation.ServiceLabel."""
    memory_type: str | None
    """MemoryType: DRAM, …."""
    memory_device_type: str | None
    """MemoryDeviceType: DDR5, …."""
    capacity_mib: int | None
    """CapacityMiB. [MiBy]"""
    operating_speed_mhz: int | None
    """OperatingSpeedMhz. [MHz]"""
    allowed_speeds_mhz: list[int] | None
    """AllowedSpeedsMHz. [MHz]"""
    manufacturer: str | None
    """Manufacturer."""
    part_number: str | None
    """PartNumber."""
    serial_number: str | None
    """SerialNumber."""
    rank_count: int | None
    """RankCount. [{rank}]"""
    data_width_bits: int | None
    """DataWidthBits. [bit]"""
    bus_width_bits: int | None
    """BusWidthBits. [bit]"""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State; Absent: an empty slot, whose numbers are all null."""
    temperature_celsius: float | None
    """EnvironmentMetrics.TemperatureCelsius.Reading. [Cel]"""
    consumed_power_watts: float | None
    """EnvironmentMetrics.PowerWatts.Reading. [W]"""


class RedfishInterface(TypedDict):
    """One NetworkInterface of a ComputerSystem, joined with its NetworkAdapter; if a BMC has none, one NetworkAdapter of a Chassis, else one EthernetInterface (DMTF NetworkInterface v1_2, NetworkAdapter v1_11, EthernetInterface v1_12)."""

    system_id: str | None
    """Id of the ComputerSystem; null if only a Chassis lists it."""
    chassis_id: str | None
    """Id of the Chassis; null if a ComputerSystem lists it."""
    odata_id: str | None
    """URI of the resource, or @odata.id of the entry."""
    interface_id: str
    """Id, or the last segment of its URI if the BMC gives none."""
    name: str | None
    """Name."""
    description: str | None
    """Description, else Model of the adapter."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    ports: int | None
    """Number of ports: the sum of the adapter's Controllers.ControllerCapabilities.NetworkPortCount, else the number of members of Ports or NetworkPorts. Null if not reported; an EthernetInterface never reports it. [{port}]"""


class RedfishStorageController(TypedDict):
    """One StorageController of a Storage (DMTF Storage v1_17, StorageController v1_8); the Storage itself if it lists none; one SimpleStorage if a ComputerSystem has no Storage."""

    system_id: str | None
    """Id of the ComputerSystem; null if only a Chassis lists it."""
    chassis_id: str | None
    """Id of the Chassis; null if a ComputerSystem lists it."""
    storage_id: str | None
    """Id of the Storage or SimpleStorage; null if a Chassis lists the drive."""
    odata_id: str | None
    """URI of the resource, or @odata.id of the entry."""
    controller_id: str
    """MemberId or Id, or its position if the BMC gives none. Unique within its Storage, not within its ComputerSystem."""
    name: str | None
    """Name, else Name of its Storage."""
    manufacturer: str | None
    """Manufacturer."""
    model: str | None
    """Model."""
    firmware_version: str | None
    """FirmwareVersion."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    supported_protocols: list[str] | None
    """SupportedDeviceProtocols, else SupportedControllerProtocols."""


class RedfishDrive(TypedDict):
    """One Drive of a Storage, or of a Chassis if no Storage lists any (DMTF Drive v1_20); one device of a SimpleStorage if a ComputerSystem has no Storage."""

    system_id: str | None
    """Id of the ComputerSystem; null if only a Chassis lists it."""
    chassis_id: str | None
    """Id of the Chassis; null if a ComputerSystem lists it."""
    storage_id: str | None
    """Id of the Storage or SimpleStorage; null if a Chassis lists the drive."""
    odata_id: str | None
    """URI of the resource, or @odata.id of the entry."""
    drive_id: str
    """Id, or the last segment of its URI, or its position in SimpleStorage.Devices. Unique within its Storage, not within its ComputerSystem."""
    name: str | None
    """Name."""
    manufacturer: str | None
    """Manufacturer."""
    model: str | None
    """Model."""
    serial_number: str | None
    """SerialNumber."""
    capacity_bytes: int | None
    """CapacityBytes. [By]"""
    media_type: str | None
    """MediaType: HDD, SSD, …."""
    protocol: str | None
    """Protocol: SATA, NVMe, …."""
    rotation_speed_rpm: int | None
    """RotationSpeedRPM; some BMCs report 0 for an SSD. [rpm]"""
    failure_predicted: bool | None
    """FailurePredicted."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State; Absent: an empty slot, whose numbers are all null."""
    indicator_led: str | None
    """IndicatorLED, else LocationIndicatorActive: Lit if true, Off if false."""


class RedfishSample(TypedDict):
    """One category of one BMC at one poll. Only the arrays of its category are filled."""

    host: str
    """Name of the operating system or enclosure in the fleet."""
    category: str
    """Kind of reading: system, thermal, power, processor, memory, network or storage."""
    observed_at: datetime
    """Time at which the producer finished reading, UTC. It does not define the order of records."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed times. [s]"""
    producer: str
    """Name of the producing process."""
    epoch: str
    """Id of this run of the producer; later runs sort higher. Records are ordered by (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host and category, from 0 without gaps. [1]"""
    previous_epoch: str | None
    """In an epoch's first record of a host and category: the previous epoch."""
    previous_sequence: int | None
    """Last sequence number of previous_epoch. Its records that are not on Kafka were never passed to Kafka. [1]"""
    dropped: list[SequenceRange]
    """Records of this host and category dropped since the previous record."""
    duration_s: float
    """Duration of the poll. [s]"""
    interval_s: float
    """Intended time between two polls. [s]"""
    errors: list[PollError]
    """Readings that this poll could not obtain. A missing reading is null, never 0."""
    labels: dict[str, str]
    """Labels of the target from fleet.yaml."""
    address: str
    """Address of the BMC, without credentials."""
    systems: list[RedfishSystem]
    """Category system."""
    temperatures: list[RedfishTemperature]
    """Category thermal."""
    fans: list[RedfishFan]
    """Category thermal."""
    power_controls: list[RedfishPowerControl]
    """Category power."""
    voltages: list[RedfishVoltage]
    """Category power."""
    power_supplies: list[RedfishPowerSupply]
    """Category power."""
    processors: list[RedfishProcessor]
    """Category processor."""
    dimms: list[RedfishDimm]
    """Category memory."""
    interfaces: list[RedfishInterface]
    """Category network."""
    storage_controllers: list[RedfishStorageController]
    """Category storage."""
    drives: list[RedfishDrive]
    """Category storage."""


class RulePack(TypedDict):
    """A pack of alert rules with the time from which it applies."""

    id: str
    """Id: effective_from and fingerprint."""
    fingerprint: str
    """Hash of the rules, independent of the formatting of the file; alert transitions carry it."""
    name: str
    """Name of the pack: its file name."""
    effective_from: datetime
    """The pack applies to records observed at this time or later."""
    text: str
    """Content of the file, in TOML."""


class Matcher(TypedDict):
    """Condition on a field of an alert."""

    name: str
    """Field: rule, host, severity or component; any other name is a label."""
    pattern: str
    """Expected value; wildcards: * and ?."""


class Silence(TypedDict):
    """A silence: matching alerts are not delivered for a time."""

    id: str
    """Id: 12 hex digits."""
    matchers: list[Matcher]
    """Matchers, at least one; an alert must match all of them."""
    starts_at: datetime
    """Start of the silence."""
    ends_at: datetime
    """End of the silence, exclusive. Ending a silence early changes it."""
    who: str
    """User who created it."""
    why: str
    """Reason."""
    created_at: datetime
    """Time of creation."""


class Target(TypedDict):
    """A target that is divided among shared producers. It contains no secret: the password is a reference that the producer resolves."""

    source: str
    """redfish or libvirt."""
    host: str
    """Host; for a BMC of several hosts, the enclosure."""
    address: str
    """Address: https://host[:port] of a BMC, or URI of a libvirt connection."""
    labels: dict[str, str]
    """Labels of the target."""
    interval_s: float | None
    """Poll interval; null: the default of the source. [s]"""
    intervals_s: dict[str, float]
    """Poll interval by category, for categories with their own. [s]"""
    username: str | None
    """User; null: no authentication."""
    password: str | None
    """Reference to the password on the producer's machine: env:NAME or file:PATH."""
    verify: str
    """Certificate verification: true, false, or a file of CA certificates on the producer's machine."""
    proxy: str | None
    """HTTP proxy, without a password."""
    systems: dict[str, str]
    """Id of a ComputerSystem → its host, for a BMC of several hosts."""
    removed: bool
    """True: no longer a target. The producer of its partition publishes that as its status."""


Status = Literal["up", "slow", "partial", "late", "auth_failed", "unreachable", "stopped", "unknown"]
"""State of a target."""


class TargetStatus(TypedDict):
    """Status of one expected target."""

    source: str
    """redfish, libvirt or host."""
    host: str
    """Host."""
    address: str
    """Address or URI, without credentials."""
    status: Status
    """Status of the target."""
    detail: str
    """Description of the problem; empty when up."""
    since: datetime
    """Start of this status."""
    observed_at: datetime
    """Time at which this status was last confirmed."""
    producer: str
    """Producer that polls it."""
    epoch: str
    """Epoch of that producer."""
    polls: int
    """Polls in this epoch. [{poll}]"""
    failures: int
    """Failed polls in this epoch. [{poll}]"""
    duration_s: float | None
    """Duration of the last poll. [s]"""
    labels: dict[str, str]
    """Labels of the target."""
    late: int
    """Polls in this epoch that started more than half an interval late, or were skipped because the previous one took too long. [{poll}]"""
    requests: int | None
    """Number of requests since polling of the target began. [{request}]"""
    request_mean_s: float | None
    """Mean duration of a request. [s]"""
    session_uri: str | None
    """URI of the open session, never its token: a producer that takes over deletes the session."""
    vendor: str | None
    """Vendor."""
    model: str | None
    """Model: product of a BMC, driver of a hypervisor."""
    firmware: str | None
    """Version of the firmware or hypervisor."""
    left_out: list[str]
    """Parts that are not read at the moment or whose values are stale, such as a VM that hangs."""
    removed: bool
    """True: no longer a target, to be shown in histories only."""
    stopped_by: str | None
    """User who paused its polling; null: it is polled, or its producer was stopped."""
    control_offset: int | None
    """Offset of the last record of the control topic that the producer had applied when it wrote this status; null: there was none. [1]"""


class VmFeature(TypedDict):
    """Rates of one VM since its previous sample; measurement vm_features."""

    vmid: str
    """OpenNebula's VM number for domains named one-<n>, else libvirt's domain id."""
    name: str
    """Domain name."""
    uuid: str
    """Domain UUID."""
    interval_s: float
    """Time between the two samples. [s]"""
    memory_rate_kb_per_sec: float | None
    """Change of memory_used_kb. [KiBy/s]"""
    memory_angle_deg: float | None
    """atan of memory_rate_kb_per_sec. [deg]"""
    net_rxbytes_rate: float | None
    """Rate of net_rxbytes (Over all NICs: bytes received by the guest). Null: no baseline, reset, or unknown. [By/s]"""
    net_rxbytes_angle: float | None
    """atan of net_rxbytes_rate. [deg]"""
    net_rxpackets_rate: float | None
    """Rate of net_rxpackets (Over all NICs: packets received). Null: no baseline, reset, or unknown. [{packet}/s]"""
    net_rxpackets_angle: float | None
    """atan of net_rxpackets_rate. [deg]"""
    net_rxerrors_rate: float | None
    """Rate of net_rxerrors (Over all NICs: receive errors). Null: no baseline, reset, or unknown. [{error}/s]"""
    net_rxerrors_angle: float | None
    """atan of net_rxerrors_rate. [deg]"""
    net_rxdrops_rate: float | None
    """Rate of net_rxdrops (Over all NICs: packets dropped on receive). Null: no baseline, reset, or unknown. [{packet}/s]"""
    net_rxdrops_angle: float | None
    """atan of net_rxdrops_rate. [deg]"""
    net_txbytes_rate: float | None
    """Rate of net_txbytes (Over all NICs: bytes sent by the guest). Null: no baseline, reset, or unknown. [By/s]"""
    net_txbytes_angle: float | None
    """atan of net_txbytes_rate. [deg]"""
    net_txpackets_rate: float | None
    """Rate of net_txpackets (Over all NICs: packets sent). Null: no baseline, reset, or unknown. [{packet}/s]"""
    net_txpackets_angle: float | None
    """atan of net_txpackets_rate. [deg]"""
    net_txerrors_rate: float | None
    """Rate of net_txerrors (Over all NICs: send errors). Null: no baseline, reset, or unknown. [{error}/s]"""
    net_txerrors_angle: float | None
    """atan of net_txerrors_rate. [deg]"""
    net_txdrops_rate: float | None
    """Rate of net_txdrops (Over all NICs: packets dropped on send). Null: no baseline, reset, or unknown. [{packet}/s]"""
    net_txdrops_angle: float | None
    """atan of net_txdrops_rate. [deg]"""
    disk_rd_req_rate: float | None
    """Rate of disk_rd_req (Over all disks: read requests). Null: no baseline, reset, or unknown. [{request}/s]"""
    disk_rd_req_angle: float | None
    """atan of disk_rd_req_rate. [deg]"""
    disk_rd_bytes_rate: float | None
    """Rate of disk_rd_bytes (Over all disks: bytes read). Null: no baseline, reset, or unknown. [By/s]"""
    disk_rd_bytes_angle: float | None
    """atan of disk_rd_bytes_rate. [deg]"""
    disk_wr_reqs_rate: float | None
    """Rate of disk_wr_reqs (Over all disks: write requests). Null: no baseline, reset, or unknown. [{request}/s]"""
    disk_wr_reqs_angle: float | None
    """atan of disk_wr_reqs_rate. [deg]"""
    disk_wr_bytes_rate: float | None
    """Rate of disk_wr_bytes (Over all disks: bytes written). Null: no baseline, reset, or unknown. [By/s]"""
    disk_wr_bytes_angle: float | None
    """atan of disk_wr_bytes_rate. [deg]"""
    disk_errors_rate: float | None
    """Rate of disk_errors (Over all disks: I/O errors; null if the hypervisor does not count them). Null: no baseline, reset, or unknown. [{error}/s]"""
    disk_errors_angle: float | None
    """atan of disk_errors_rate. [deg]"""
    memswap_in_rate: float | None
    """Rate of memswap_in (memory swapped in, KiB). Null: no baseline, reset, or unknown. [KiBy/s]"""
    memswap_in_angle: float | None
    """atan of memswap_in_rate. [deg]"""
    memswap_out_rate: float | None
    """Rate of memswap_out (memory swapped out, KiB). Null: no baseline, reset, or unknown. [KiBy/s]"""
    memswap_out_angle: float | None
    """atan of memswap_out_rate. [deg]"""
    memmajor_fault_rate: float | None
    """Rate of memmajor_fault (major page faults). Null: no baseline, reset, or unknown. [{fault}/s]"""
    memmajor_fault_angle: float | None
    """atan of memmajor_fault_rate. [deg]"""
    memminor_fault_rate: float | None
    """Rate of memminor_fault (minor page faults). Null: no baseline, reset, or unknown. [{fault}/s]"""
    memminor_fault_angle: float | None
    """atan of memminor_fault_rate. [deg]"""
    timeusr_rate: float | None
    """Rate of timeusr (CPU time in user mode, ns). Null: no baseline, reset, or unknown. [ns/s]"""
    timeusr_angle: float | None
    """atan of timeusr_rate. [deg]"""
    timesys_rate: float | None
    """Rate of timesys (CPU time in system mode, ns). Null: no baseline, reset, or unknown. [ns/s]"""
    timesys_angle: float | None
    """atan of timesys_rate. [deg]"""
    cputime_rate: float | None
    """Rate of cputime (CPU time, ns). Null: no baseline, reset, or unknown. [ns/s]"""
    cputime_angle: float | None
    """atan of cputime_rate. [deg]"""


class VmFeatures(TypedDict):
    """Rates and angles of the VMs of one raw record."""

    host: str
    """Host of the raw record this comes from."""
    category: str
    """Category of the raw record."""
    observed_at: datetime
    """observed_at of the raw record."""
    epoch: str
    """Epoch of the raw record."""
    sequence: int
    """Sequence of the raw record. With host, category and epoch, it identifies this record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    vms: list[VmFeature]
    """VMs that have a previous sample."""


class VmWatts(TypedDict):
    """Estimated power of one VM."""

    vmid: str
    """OpenNebula's VM number for domains named one-<n>, else libvirt's domain id."""
    name: str
    """Domain name."""
    uuid: str
    """Domain UUID."""
    cpu_seconds: float
    """CPU time used in the minute. [s]"""
    cpu_share: float
    """Share of the CPU time of all VMs of the host, 0 to 1; 0 if no VM used any. [1]"""
    estimated_watts: float | None
    """Power of the host multiplied by cpu_share: an estimate, not a measurement. Null if no VM used CPU time. [W]"""
    estimated_joules: float | None
    """Energy of the host multiplied by cpu_share: an estimate, not a measurement. [J]"""
    partial: bool
    """As in the record: the readings do not cover the whole minute."""


class VmPower(TypedDict):
    """Estimate of the power of each VM: a host's power in one minute, divided by CPU time."""

    host: str
    """Host, which is also the name of its BMC's target."""
    category: str
    """power."""
    observed_at: datetime
    """End of the minute, UTC."""
    minute: datetime
    """Start of the minute, UTC. With host, it identifies this record."""
    epoch: str
    """Epoch of the last libvirt record in the minute."""
    labels: dict[str, str]
    """Labels of the host's targets."""
    partial: bool
    """True: the readings of a source that arrived within 5 min do not cover the whole minute."""
    method: str
    """Method of division: cpu-time, by the CPU time of each VM."""
    host_watts: float
    """Mean power of the host over power_covered_s, as measured by its BMC. [W]"""
    host_joules: float
    """Energy of the host over power_covered_s. [J]"""
    power_covered_s: float
    """Part of the minute that lies between power readings. [s]"""
    cpu_covered_s: float
    """Part of the minute that lies between libvirt samples. [s]"""
    vms: list[VmWatts]
    """VMs that ran in the minute."""


class VmTotal(TypedDict):
    """Totals of one VM; measurement vm_totals."""

    vmid: str
    """OpenNebula's VM number for domains named one-<n>, else libvirt's domain id."""
    name: str
    """Domain name."""
    uuid: str
    """Domain UUID."""
    net_rxbytes: int | None
    """Over all NICs: cumulative bytes received by the guest. [By]"""
    net_rxpackets: int | None
    """Over all NICs: cumulative packets received. [{packet}]"""
    net_rxerrors: int | None
    """Over all NICs: cumulative receive errors. [{error}]"""
    net_rxdrops: int | None
    """Over all NICs: cumulative packets dropped on receive. [{packet}]"""
    net_txbytes: int | None
    """Over all NICs: cumulative bytes sent by the guest. [By]"""
    net_txpackets: int | None
    """Over all NICs: cumulative packets sent. [{packet}]"""
    net_txerrors: int | None
    """Over all NICs: cumulative send errors. [{error}]"""
    net_txdrops: int | None
    """Over all NICs: cumulative packets dropped on send. [{packet}]"""
    disk_rd_req: int | None
    """Over all disks: cumulative read requests. [{request}]"""
    disk_rd_bytes: int | None
    """Over all disks: cumulative bytes read. [By]"""
    disk_wr_reqs: int | None
    """Over all disks: cumulative write requests. [{request}]"""
    disk_wr_bytes: int | None
    """Over all disks: cumulative bytes written. [By]"""
    disk_errors: int | None
    """Over all disks: cumulative I/O errors; null if the hypervisor does not count them. [{error}]"""
    memactual: int | None
    """Memory given to the guest (balloon), KiB. [KiBy]"""
    memrss: int | None
    """Resident memory of the domain's process, KiB. [KiBy]"""
    memavailable: int | None
    """Total memory visible to the guest, KiB. [KiBy]"""
    memusable: int | None
    """Memory the guest can use without swapping, KiB. [KiBy]"""
    memswap_in: int | None
    """Cumulative memory swapped in, KiB. [KiBy]"""
    memswap_out: int | None
    """Cumulative memory swapped out, KiB. [KiBy]"""
    memmajor_fault: int | None
    """Cumulative major page faults. [{fault}]"""
    memminor_fault: int | None
    """Cumulative minor page faults. [{fault}]"""
    memdisk_cache: int | None
    """Guest memory used for disk caches, KiB. [KiBy]"""
    timeusr: int | None
    """Cumulative CPU time in user mode, ns. [ns]"""
    timesys: int | None
    """Cumulative CPU time in system mode, ns. [ns]"""
    cpus: int | None
    """Virtual CPUs. [{cpu}]"""
    cputime: int | None
    """Cumulative CPU time, ns. [ns]"""
    state: int
    """libvirt's virDomainState. [1]"""
    partial: bool
    """True: some parts of a total are unknown; the total is the sum of the known parts."""


class VmTotals(TypedDict):
    """Totals of the VMs of one raw record."""

    host: str
    """Host of the raw record this comes from."""
    category: str
    """Category of the raw record."""
    observed_at: datetime
    """observed_at of the raw record."""
    epoch: str
    """Epoch of the raw record."""
    sequence: int
    """Sequence of the raw record. With host, category and epoch, it identifies this record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    vms: list[VmTotal]
    """All active VMs."""
    vm_count: int | None
    """Active VMs of the host. [{vm}]"""
    net_rxbytes: int | None
    """Over all VMs of the host: cumulative bytes received by the guest. Falls when a VM leaves. [By]"""
    net_rxpackets: int | None
    """Over all VMs of the host: cumulative packets received. Falls when a VM leaves. [{packet}]"""
    net_rxerrors: int | None
    """Over all VMs of the host: cumulative receive errors. Falls when a VM leaves. [{error}]"""
    net_rxdrops: int | None
    """Over all VMs of the host: cumulative packets dropped on receive. Falls when a VM leaves. [{packet}]"""
    net_txbytes: int | None
    """Over all VMs of the host: cumulative bytes sent by the guest. Falls when a VM leaves. [By]"""
    net_txpackets: int | None
    """Over all VMs of the host: cumulative packets sent. Falls when a VM leaves. [{packet}]"""
    net_txerrors: int | None
    """Over all VMs of the host: cumulative send errors. Falls when a VM leaves. [{error}]"""
    net_txdrops: int | None
    """Over all VMs of the host: cumulative packets dropped on send. Falls when a VM leaves. [{packet}]"""
    disk_rd_req: int | None
    """Over all VMs of the host: cumulative read requests. Falls when a VM leaves. [{request}]"""
    disk_rd_bytes: int | None
    """Over all VMs of the host: cumulative bytes read. Falls when a VM leaves. [By]"""
    disk_wr_reqs: int | None
    """Over all VMs of the host: cumulative write requests. Falls when a VM leaves. [{request}]"""
    disk_wr_bytes: int | None
    """Over all VMs of the host: cumulative bytes written. Falls when a VM leaves. [By]"""
    disk_errors: int | None
    """Over all VMs of the host: cumulative I/O errors; null if the hypervisor does not count them. Falls when a VM leaves. [{error}]"""
    memactual: int | None
    """Over all VMs of the host: memory given to the guest (balloon), KiB. [KiBy]"""
    memrss: int | None
    """Over all VMs of the host: resident memory of the domain's process, KiB. [KiBy]"""
    memavailable: int | None
    """Over all VMs of the host: total memory visible to the guest, KiB. [KiBy]"""
    memusable: int | None
    """Over all VMs of the host: memory the guest can use without swapping, KiB. [KiBy]"""
    memswap_in: int | None
    """Over all VMs of the host: cumulative memory swapped in, KiB. Falls when a VM leaves. [KiBy]"""
    memswap_out: int | None
    """Over all VMs of the host: cumulative memory swapped out, KiB. Falls when a VM leaves. [KiBy]"""
    memmajor_fault: int | None
    """Over all VMs of the host: cumulative major page faults. Falls when a VM leaves. [{fault}]"""
    memminor_fault: int | None
    """Over all VMs of the host: cumulative minor page faults. Falls when a VM leaves. [{fault}]"""
    memdisk_cache: int | None
    """Over all VMs of the host: guest memory used for disk caches, KiB. [KiBy]"""
    timeusr: int | None
    """Over all VMs of the host: cumulative CPU time in user mode, ns. Falls when a VM leaves. [ns]"""
    timesys: int | None
    """Over all VMs of the host: cumulative CPU time in system mode, ns. Falls when a VM leaves. [ns]"""
    cpus: int | None
    """Over all VMs of the host: virtual CPUs. [{cpu}]"""
    cputime: int | None
    """Over all VMs of the host: cumulative CPU time, ns. Falls when a VM leaves. [ns]"""
    partial: bool
    """True: some parts of a sum over the VMs are unknown; the sum is over the known parts."""
