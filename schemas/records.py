"""Record types, generated from `avsc/` by `python -m schemas`; change the `.avsc` files, not this one."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict


Transition = Literal["raised", "updated", "cleared", "UNKNOWN"]
"""What happened to the alert."""


Severity = Literal["warning", "critical", "UNKNOWN"]
"""How bad it is."""


class Alert(TypedDict):
    """One transition of one alert."""

    id: str
    """Stable id: hash of rule, host, component and first breach."""
    revision: int
    """0 at the raise, then one more at each transition. [1]"""
    transition: Transition
    """raised, updated or cleared."""
    host: str
    """Host."""
    rule: str
    """Name of the rule."""
    component: str
    """What it is about within the host, such as <chassis>/<sensor>."""
    severity: Severity
    """Severity, from the rule."""
    value: float | None
    """The value judged, in the unit of the rule's field. [{reading}]"""
    threshold: float | None
    """The limit it was judged against. [{reading}]"""
    text: str
    """What to tell a person."""
    started_at: datetime
    """observed_at of the first breach."""
    cause: str | None
    """Why it cleared: recovered; gone when the component is not reported any more; unknown when its producer is silent."""
    observed_at: datetime
    """observed_at of the record that caused the transition."""
    category: str
    """Category of that record."""
    epoch: str
    """Epoch of that record."""
    sequence: int
    """Sequence of that record. [1]"""
    labels: dict[str, str]
    """Labels of the target, and of the rule."""
    pack: str
    """Fingerprint of the rule pack that judged."""


class AsOf(TypedDict):
    """The last record judged of one source and category."""

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
    """Alias of the raw topic judged."""
    category: str
    """Category judged."""
    rule: str
    """Name of the rule."""
    component: str
    """What it is about within the host, such as <chassis>/<sensor>."""
    severity: Severity
    """Severity, from the rule."""
    value: float | None
    """The value judged, in the unit of the rule's field. [{reading}]"""
    threshold: float | None
    """The limit it was judged against. [{reading}]"""
    text: str
    """What to tell a person."""
    started_at: datetime
    """observed_at of the first breach."""
    unseen: int
    """Records in a row that did not have the component. [1]"""
    clear_count: int
    """Records in a row past the clear threshold. [1]"""
    word: str | None
    """The word judged, where it was a word."""
    told_at: datetime | None
    """observed_at of its last transition."""
    labels: dict[str, str]
    """Labels of the rule."""


class PendingAlert(TypedDict):
    """A breach that has not held long enough."""

    rule: str
    """Name of the rule."""
    component: str
    """Component."""
    topic: str
    """Alias of the raw topic judged."""
    category: str
    """Category judged."""
    count: int
    """Breaching records in a row. [1]"""
    started_at: datetime
    """observed_at of the first."""


class KnownComponent(TypedDict):
    """A component that a rule expects to be there."""

    rule: str
    """Name of the rule."""
    component: str
    """Component."""
    category: str
    """Category judged."""
    unseen: int
    """Whole records in a row that did not have it. [1]"""


class AlertState(TypedDict):
    """The alert engine's memory of one host."""

    host: str
    """Host."""
    as_of: list[AsOf]
    """Order applied so far; input at or before it is skipped."""
    active: list[ActiveAlert]
    """Active alerts."""
    pending: list[PendingAlert]
    """Breaches on hold."""
    source: str
    """Alias of the topic whose records are judged; each has a memory of its own."""
    known: list[KnownComponent]
    """Components seen, of rules about what is missing."""
    written_at: datetime | None
    """observed_at of the record that this was written at."""


class SequenceRange(TypedDict):
    """Records numbered but not handed to Kafka."""

    first: int
    """First sequence of the range. [1]"""
    last: int
    """Last sequence of the range. [1]"""
    cause: str
    """Why they were dropped."""
    epoch: str | None
    """Their epoch; null: that of this record."""


class PollError(TypedDict):
    """Readings that were not got, counted by cause."""

    field: str
    """Resource or field concerned."""
    cause: str
    """What was wrong with it."""
    count: int
    """How many readings. [1]"""
    whole: bool
    """True: a whole resource or call failed, so it is not known what it would have listed. False: single values."""


EventType = Literal["INFO", "WARNING", "ERROR", "DEBUG", "UNKNOWN"]
"""How severe an event is."""


class AppEvent(TypedDict):
    """Something that happened in an application."""

    event_id: str
    """Unique identifier."""
    timestamp: datetime
    """When it happened, UTC, by the application's clock."""
    event_type: EventType
    """Severity."""
    source: str
    """Component of the application it comes from."""
    message: str
    """What happened, for people."""
    metadata: dict[str, bool | int | float | str | None]
    """Additional data. Nested values are JSON text; integers beyond 63 bits are text. [{any}]"""


class AppMetric(TypedDict):
    """One number an application measured."""

    metric_id: str
    """Unique identifier."""
    timestamp: datetime
    """When it was measured, UTC, by the application's clock."""
    name: str
    """Name of the metric."""
    value: float
    """What was measured, in the unit the field `unit` names. [{unit}]"""
    unit: str | None
    """Unit, as the application names it."""
    tags: dict[str, bool | int | float | str | None]
    """For filtering and grouping. Nested values are JSON text; integers beyond 63 bits are text. [{any}]"""


class AppExecutions(TypedDict):
    """Commands a process has executed since its collector started (seed 001)."""

    commands_executed: int
    """Cumulative commands executed. [{command}]"""
    successful_commands: int
    """Cumulative commands that succeeded. [{command}]"""
    failed_commands: int
    """Cumulative commands that failed. [{command}]"""
    total_execution_time: float
    """Cumulative time spent executing. [s]"""
    start_time: datetime
    """When counting began, UTC, by the application's clock."""
    uptime_seconds: float
    """Time since then. [s]"""


class AppSample(TypedDict):
    """What one process of an application reported: the events and metrics of one flush, or its execution statistics."""

    host: str
    """The fleet's name of the operating system the application runs on; its host name unless told."""
    category: str
    """What the record holds: telemetry (events and metrics of one flush) or executions."""
    observed_at: datetime
    """When the batch was handed over, UTC. Each event and metric has a time of its own."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed time. [s]"""
    producer: str
    """Name of the producing process: app-<source>-<number>@<host>."""
    epoch: str
    """Id of this start of the producer; ids of later starts sort higher. Order is (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host, producer and category, from 0 without holes. [1]"""
    previous_epoch: str | None
    """At an epoch's first record of a category: this producer's epoch before it."""
    previous_sequence: int | None
    """The last sequence numbered in previous_epoch. What of it is not on Kafka was never handed over. [1]"""
    dropped: list[SequenceRange]
    """Records of this producer and category dropped since the last one handed over."""
    duration_s: float
    """How long making the record took. [s]"""
    interval_s: float
    """0: records come when the application flushes. [s]"""
    errors: list[PollError]
    """Always empty: an application reports, it is not polled."""
    labels: dict[str, str]
    """Labels the application was given."""
    source: str
    """Name of the application, which may run on many hosts."""
    events: list[AppEvent]
    """Events in the order they were collected."""
    metrics: list[AppMetric]
    """Metrics in the order they were collected."""
    executions: list[AppExecutions]
    """At most one: the statistics as they stood."""


Desired = Literal["running", "stopped"]
"""Desired state of a target."""


class Control(TypedDict):
    """Whether some targets are to be polled. Of the records about a target the most specific holds; without any it is polled."""

    key: str
    """Which targets: *; source:<source>; host:<host>, whatever reads it; target:<source>:<host>. Each is more specific than the one before."""
    desired: Desired
    """What they are to be."""
    at: datetime
    """When it was commanded."""
    by: str
    """Who commanded it."""
    reason: str
    """Why; empty where nobody said."""


class DeadLetter(TypedDict):
    """A record that a stage could not take."""

    topic: str
    """Topic it came from."""
    partition: int
    """Partition. [1]"""
    offset: int
    """Offset. [1]"""
    stage: str
    """Which stage refused it."""
    reason: str
    """Short reason: truncated, not-framed, unknown-schema, foreign-schema, step-failed, …"""
    detail: str
    """The whole message."""
    traceback: str | None
    """Traceback, where code failed."""
    key: bytes | None
    """Original key."""
    value: bytes | None
    """Original bytes; null when larger than 900 kB: read them at topic, partition and offset."""
    size: int
    """Length of the original value. [By]"""
    appended_at: datetime | None
    """When the record reached the broker."""
    failed_at: datetime
    """When the stage refused it."""


class DeviceRate(TypedDict):
    """One NIC or disk against its sample before."""

    vmid: str
    """OpenNebula's number for domains named one-<n>, else libvirt's domain id."""
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
    """Rate of errors (I/O errors; null where the hypervisor does not count them). Null: no baseline, reset, or unknown. [{error}/s]"""
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
    """Sequence of the raw record: with host, category and epoch the identity of this fact. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    devices: list[DeviceRate]
    """Devices that have a sample before."""


HealthStatus = Literal["ok", "warning", "critical", "unknown"]
"""How well something is; unknown where nothing says."""


class SystemHealth(TypedDict):
    """Systems by their own health."""

    status: HealthStatus
    """The worst Status.Health."""
    unknown: int
    """Systems that are absent or say nothing. [{part}]"""
    power_state: str | None
    """PowerState of the first system."""
    model: str | None
    """Model of the first system."""
    bios_version: str | None
    """BiosVersion of the first system."""


class ThermalHealth(TypedDict):
    """Temperatures by 90 % of their critical threshold, fans by their own health."""

    status: HealthStatus
    """Critical where half of the temperature sensors or more are high, or a fan fails and no temperature is known."""
    unknown: int
    """Sensors and fans that are absent or say nothing. [{part}]"""
    high_temperature_sensors: int
    """Sensors above 90 % of critical. [{sensor}]"""
    total_temperature_sensors: int
    """Sensors with a reading. [{sensor}]"""
    failed_fans: int
    """Fans whose health is known and not OK. [{fan}]"""
    total_fans: int
    """Fans whose health is known. [{fan}]"""


class PowerHealth(TypedDict):
    """Power supplies by their own health."""

    status: HealthStatus
    """The worst Status.Health."""
    unknown: int
    """Supplies that are absent or say nothing. [{part}]"""
    failed_supplies: int
    """Supplies whose health is known and not OK. [{supply}]"""
    total_supplies: int
    """Supplies whose health is known. [{supply}]"""


class ProcessorHealth(TypedDict):
    """Processors by the summary of each system."""

    status: HealthStatus
    """The worst ProcessorSummary.Status.Health."""
    unknown: int
    """Summaries that are absent or say nothing. [{part}]"""
    count: int | None
    """Processors of the first system. [{cpu}]"""
    model: str | None
    """Their model."""


class MemoryHealth(TypedDict):
    """Memory by the summary of each system."""

    status: HealthStatus
    """The worst MemorySummary.Status.Health."""
    unknown: int
    """Summaries that are absent or say nothing. [{part}]"""
    total_system_memory_gib: float | None
    """Memory of the first system. [GiBy]"""


class StorageHealth(TypedDict):
    """Drives by their own health and prediction."""

    status: HealthStatus
    """Critical where a drive failed, warning where one is about to."""
    unknown: int
    """Drives that are absent or whose health is not said. [{part}]"""
    failed_drives: int
    """Drives whose health is known and not OK. [{drive}]"""
    predicted_failures: int
    """Drives that predict their failure. [{drive}]"""
    total_drives: int
    """Drives whose health is known. [{drive}]"""


class HealthAlert(TypedDict):
    """One thing that is not well."""

    category: str
    """Category of the records that say so."""
    rule: str
    """What is wrong with it, such as fan-unhealthy."""
    component: str
    """What it is about within the host, such as <chassis>/<sensor>."""
    health: str | None
    """Status.Health, where that is what was judged."""
    value: float | None
    """The reading when the health last changed. [Cel]"""
    text: str
    """What to tell a person, with the reading when the health last changed."""


class Health(TypedDict):
    """Health of one host, rolled up from the last record of each category of its BMC."""

    host: str
    """Host."""
    category: str
    """Category of the record that this was written at."""
    observed_at: datetime
    """observed_at of that record."""
    epoch: str
    """Epoch of that record."""
    sequence: int
    """Sequence of that record. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    overall: HealthStatus
    """The worst of the components that are known; unknown if none is."""
    unknown: int
    """Parts that are absent or say nothing, over all components. [{part}]"""
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
    """What is not well, by category, rule and component."""
    as_of: list[AsOf]
    """Order applied so far; input at or before it is skipped."""
    since: datetime | None
    """Since when it is so; a health that lasts is written again every 10 minutes."""


class FailingTarget(TypedDict):
    """A target that cannot be read."""

    host: str
    """Host."""
    status: str
    """How it stands: unreachable or auth_failed."""
    labels: dict[str, str]
    """Labels of the target."""


class Heartbeat(TypedDict):
    """A producer process is alive."""

    producer: str
    """Name of the process."""
    epoch: str
    """Its epoch."""
    sequence: int
    """Number of the beat in the epoch, from 0. [1]"""
    observed_at: datetime
    """When it beat."""
    interval_s: float
    """Intended time to the next beat. [s]"""
    source: str
    """redfish, libvirt or host."""
    targets: int
    """Targets it polls. [{target}]"""
    records: int
    """Records handed over in this epoch. [{record}]"""
    dropped: int
    """Records dropped in this epoch. [{record}]"""
    polls: int
    """Polls in this epoch. [{poll}]"""
    failures: int
    """Polls of them that failed. [{poll}]"""
    queued: int
    """Records waiting for the broker. [{record}]"""
    spooled: int
    """Those of them that wait on the producer's disk, in its spool. [{record}]"""
    spooled_bytes: int
    """Bytes they take there. [By]"""
    spool_oldest_at: datetime | None
    """When the oldest of them was handed over; null: none waits."""
    rejected: int
    """Records in this epoch that Kafka refused for good, kept in a file beside the spool; counted in dropped, too. [{record}]"""
    failing: list[FailingTarget]
    """Targets that cannot be read now, by host; the first 100 of them."""
    failing_count: int
    """How many there are in all. [{target}]"""
    stopped: list[str]
    """Hosts of targets that are not polled because a command says so: those first that could not be read before, the first 100."""
    stopped_count: int
    """How many there are in all. [{target}]"""
    shared: bool
    """True: its targets are those of its share of fleet.targets, which others of its group take over when it ends."""
    released: list[str]
    """Hosts of targets that it handed over to another producer of its group while they could not be read, the first 100."""
    stopping: bool
    """True: the last beat of a process that was told to stop."""


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
    """Rates and angles of a host's own counters since the sample before."""

    host: str
    """Host of the raw record this comes from."""
    category: str
    """Category of the raw record."""
    observed_at: datetime
    """observed_at of the raw record."""
    epoch: str
    """Epoch of the raw record."""
    sequence: int
    """Sequence of the raw record: with host, category and epoch the identity of this fact. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    interval_s: float
    """Time between the two samples compared, by the producer's monotonic clock. [s]"""
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
    """Cores that have a sample before."""
    disks: list[HostDiskRates]
    """Block devices that have a sample before."""
    interfaces: list[HostInterfaceRates]
    """Network interfaces that have a sample before."""


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
    """Where it is mounted."""
    device: str
    """What is mounted."""
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
    """Whether it is up."""
    speed_mbps: int | None
    """Link speed; null where unknown. [Mbit/s]"""
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
    """One psutil sample of a host. What the platform does not give is null or an empty list."""

    host: str
    """The fleet's name of the operating system or enclosure this is about."""
    category: str
    """What was read at this poll: host."""
    observed_at: datetime
    """When the producer finished reading, UTC. Identity of a point in time, not its order."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed time. [s]"""
    producer: str
    """Name of the producing process."""
    epoch: str
    """Id of this start of the producer; ids of later starts sort higher. Order is (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host and category, from 0 without holes. [1]"""
    previous_epoch: str | None
    """At an epoch's first record of a host and category: the epoch before it."""
    previous_sequence: int | None
    """The last sequence numbered in previous_epoch. What of it is not on Kafka was never handed over. [1]"""
    dropped: list[SequenceRange]
    """Records of this host and category dropped since the last one handed over."""
    duration_s: float
    """How long the poll took. [s]"""
    interval_s: float
    """Intended time between two polls. [s]"""
    errors: list[PollError]
    """What this poll could not read. A reading not got is null, never 0."""
    labels: dict[str, str]
    """Labels of the target from fleet.yaml."""
    boot_at: datetime | None
    """When the host booted, as it says itself."""
    uptime_s: float | None
    """Time since boot. [s]"""
    cpu_percent: float | None
    """CPU use over all cores since the sample before; null in an epoch's first. [%]"""
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
    """Memory that can be given at once without swapping. [By]"""
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
    """Target device of the interface, or its MAC where it has none."""
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
    """Bridge, network or host device it is plugged into, from the XML."""


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
    """Cumulative I/O errors; null where the hypervisor does not count them. [{error}]"""
    alias: str | None
    """libvirt's alias of the device, such as virtio-disk0, from the XML."""
    bus: str | None
    """Bus of the disk, such as virtio, from the XML."""


class Domain(TypedDict):
    """One active domain at one poll. libvirt's -1 and what it does not give are null."""

    vmid: str
    """OpenNebula's number for domains named one-<n>, else libvirt's domain id."""
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
    """True: the hypervisor did not answer for this domain; the values are the last known."""
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
    """Memory the guest sees in all, KiB. [KiBy]"""
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
    """When the guest last told its memory figures, seconds since 1970; if it does not move they are frozen. [s]"""
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
    """The fleet's name of the operating system or enclosure this is about."""
    category: str
    """What was read at this poll: domains."""
    observed_at: datetime
    """When the producer finished reading, UTC. Identity of a point in time, not its order."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed time. [s]"""
    producer: str
    """Name of the producing process."""
    epoch: str
    """Id of this start of the producer; ids of later starts sort higher. Order is (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host and category, from 0 without holes. [1]"""
    previous_epoch: str | None
    """At an epoch's first record of a host and category: the epoch before it."""
    previous_sequence: int | None
    """The last sequence numbered in previous_epoch. What of it is not on Kafka was never handed over. [1]"""
    dropped: list[SequenceRange]
    """Records of this host and category dropped since the last one handed over."""
    duration_s: float
    """How long the poll took. [s]"""
    interval_s: float
    """Intended time between two polls. [s]"""
    errors: list[PollError]
    """What this poll could not read. A reading not got is null, never 0."""
    labels: dict[str, str]
    """Labels of the target from fleet.yaml."""
    uri: str
    """libvirt URI, without user or password."""
    hypervisor: str | None
    """Driver of the connection (virConnectGetType)."""
    domains: list[Domain]
    """Active domains; their order means nothing."""


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
    """Sequence of the raw record: with host, category and epoch the identity of this fact. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    consumed_watts: float | None
    """Sum over chassis of the total PowerControl entry. [W]"""
    available_watts: float | None
    """Sum over chassis of PowerAvailableWatts of that entry. [W]"""
    power_utilization_percent: float | None
    """consumed_watts of available_watts. [%]"""
    average_psu_efficiency: float | None
    """Mean of the efficiencies the supplies report. [%]"""
    interval_s: float | None
    """Time since the sample before. [s]"""
    energy_joules: float | None
    """consumed_watts over the interval, by the trapezoid rule; null without a sample before. [J]"""
    psu_input_watts: float | None
    """Sum of what the supplies say they draw; to be held against consumed_watts. [W]"""
    psu_output_watts: float | None
    """Sum of what the supplies say they deliver. [W]"""
    psu_input_partial: bool
    """True: not every supply says what it draws; psu_input_watts is the sum of those that do."""
    consumed_of_psu_input_percent: float | None
    """consumed_watts of psu_input_watts: about 100 where the BMC measures the whole enclosure. Null where a supply does not say what it draws. [%]"""
    power_supplies: list[PowerSupply]
    """Supplies."""
    voltage_readings: list[VoltageReading]
    """Rails."""


ProducerStatus = Literal["alive", "silent", "stopped", "unknown"]
"""State of a producer."""


class HeldTarget(TypedDict):
    """A target that has been failing for too few beats to raise an alert."""

    host: str
    """Host."""
    status: str
    """How it stands: unreachable or auth_failed."""
    beats: int
    """Beats in a row that say so. [1]"""


class PresenceAlert(TypedDict):
    """One active alert of a producer or its targets."""

    id: str
    """Id."""
    revision: int
    """Last revision. [1]"""
    rule: str
    """producer-silent, targets-failing, target-unreachable or target-auth-failed."""
    host: str
    """Host; the producer, where it is about that or many of its targets."""
    component: str
    """The producer."""
    severity: str
    """warning or critical."""
    value: float | None
    """How many targets it is about. [{target}]"""
    text: str
    """What to tell a person."""
    started_at: datetime
    """Since when it is so, as far as presence can tell."""
    told_at: datetime
    """Time of its last transition."""
    labels: dict[str, str]
    """Labels of the target."""


class PresenceState(TypedDict):
    """What presence knows of one producer."""

    producer: str
    """Producer."""
    as_of: list[AsOf]
    """Its last beat judged; the category is the producer."""
    source: str
    """What it polls: redfish, libvirt or host."""
    targets: int
    """Targets it polls. [{target}]"""
    interval_s: float
    """Intended time between two beats. [s]"""
    clock_s: float
    """Its last beat by presence's clock, in which time when nobody beats does not count. [s]"""
    appended_at: datetime
    """When that beat reached Kafka."""
    status: ProducerStatus
    """Whether it is heard. The targets of one that is silent are unknown."""
    held: list[HeldTarget]
    """Targets on hold."""
    alerts: list[PresenceAlert]
    """Active alerts."""
    grouped: list[str]
    """Targets that targets-failing is about."""
    shared: bool
    """Others of its group take its targets over when it is not heard."""


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
    """One entry of Thermal.Temperatures (DMTF Thermal v1_7); of ThermalMetrics.TemperatureReadingsCelsius where a Chassis has no Thermal."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array where the BMC gives none."""
    sensor_name: str | None
    """Name."""
    reading_celsius: float | None
    """ReadingCelsius; null where the sensor is absent or gives nothing. [Cel]"""
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
    """One entry of Thermal.Fans (DMTF Thermal v1_7); one Fan of a ThermalSubsystem where a Chassis has no Thermal. Exactly one of the two speeds is set when there is a reading."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array where the BMC gives none."""
    sensor_name: str | None
    """Name."""
    speed_rpm: float | None
    """Reading where ReadingUnits is RPM. [rpm]"""
    speed_percent: float | None
    """Reading where ReadingUnits is Percent. [%]"""
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
    """MemberId, or the position in the array where the BMC gives none."""
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
    """MemberId, or the position in the array where the BMC gives none."""
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
    """One entry of Power.PowerSupplies (DMTF Power v1_7); one PowerSupply of a PowerSubsystem where a Chassis has no Power."""

    chassis_id: str
    """Id of the Chassis."""
    odata_id: str | None
    """@odata.id of the entry, for tracing."""
    sensor_id: str
    """MemberId, or the position in the array where the BMC gives none."""
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
    """Id of the ComputerSystem, or the end of its URI where the BMC gives none."""
    odata_id: str | None
    """URI it was read at, or @odata.id of the entry."""
    processor_id: str
    """Id, or the end of its URI where the BMC gives none."""
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
    """Status.State; Absent: an empty slot, of which no number is told."""
    operating_speed_mhz: int | None
    """ProcessorMetrics.OperatingSpeedMHz, else Processor.OperatingSpeedMHz. [MHz]"""
    temperature_celsius: float | None
    """EnvironmentMetrics.TemperatureCelsius.Reading, else ProcessorMetrics.TemperatureCelsius. [Cel]"""
    consumed_power_watts: float | None
    """EnvironmentMetrics.PowerWatts.Reading, else ProcessorMetrics.ConsumedPowerWatt. [W]"""
    cache_metrics: CacheMetrics
    """Cache performance; all null where the BMC gives no ProcessorMetrics with it."""


class RedfishDimm(TypedDict):
    """One Memory of a ComputerSystem (DMTF Memory v1_20): a DIMM, an empty slot, or memory of a GPU."""

    system_id: str
    """Id of the ComputerSystem, or the end of its URI where the BMC gives none."""
    odata_id: str | None
    """URI it was read at, or @odata.id of the entry."""
    memory_id: str
    """Id, or the end of its URI where the BMC gives none."""
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
    """Status.State; Absent: an empty slot, of which no number is told."""
    temperature_celsius: float | None
    """EnvironmentMetrics.TemperatureCelsius.Reading. [Cel]"""
    consumed_power_watts: float | None
    """EnvironmentMetrics.PowerWatts.Reading. [W]"""


class RedfishInterface(TypedDict):
    """One NetworkInterface of a ComputerSystem, joined with its NetworkAdapter; where a BMC has none, one NetworkAdapter of a Chassis, else one EthernetInterface (DMTF NetworkInterface v1_2, NetworkAdapter v1_11, EthernetInterface v1_12)."""

    system_id: str | None
    """Id of the ComputerSystem; null where only a Chassis lists it."""
    chassis_id: str | None
    """Id of the Chassis; null where a ComputerSystem lists it."""
    odata_id: str | None
    """URI it was read at, or @odata.id of the entry."""
    interface_id: str
    """Id, or the end of its URI where the BMC gives none."""
    name: str | None
    """Name."""
    description: str | None
    """Description, else the adapter's Model."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State."""
    ports: int | None
    """Ports: the sum of the adapter's Controllers.ControllerCapabilities.NetworkPortCount, else the members of Ports or NetworkPorts. Null: not told, as by every EthernetInterface. [{port}]"""


class RedfishStorageController(TypedDict):
    """One StorageController of a Storage (DMTF Storage v1_17, StorageController v1_8); the Storage itself where it lists none; one SimpleStorage where a ComputerSystem has no Storage."""

    system_id: str | None
    """Id of the ComputerSystem; null where only a Chassis lists it."""
    chassis_id: str | None
    """Id of the Chassis; null where a ComputerSystem lists it."""
    storage_id: str | None
    """Id of the Storage or SimpleStorage; null where a Chassis lists the drive."""
    odata_id: str | None
    """URI it was read at, or @odata.id of the entry."""
    controller_id: str
    """MemberId or Id, or its position where the BMC gives none. Once in its Storage, not in its ComputerSystem."""
    name: str | None
    """Name, else that of its Storage."""
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
    """One Drive of a Storage, or of a Chassis where no Storage lists any (DMTF Drive v1_20); one device of a SimpleStorage where a ComputerSystem has no Storage."""

    system_id: str | None
    """Id of the ComputerSystem; null where only a Chassis lists it."""
    chassis_id: str | None
    """Id of the Chassis; null where a ComputerSystem lists it."""
    storage_id: str | None
    """Id of the Storage or SimpleStorage; null where a Chassis lists the drive."""
    odata_id: str | None
    """URI it was read at, or @odata.id of the entry."""
    drive_id: str
    """Id, or the end of its URI, or its position in SimpleStorage.Devices. Once in its Storage, not in its ComputerSystem."""
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
    """RotationSpeedRPM; some BMCs say 0 of an SSD. [rpm]"""
    failure_predicted: bool | None
    """FailurePredicted."""
    health: str | None
    """Status.Health."""
    state: str | None
    """Status.State; Absent: an empty slot, of which no number is told."""
    indicator_led: str | None
    """IndicatorLED; else LocationIndicatorActive: true as Lit, false as Off."""


class RedfishSample(TypedDict):
    """One category of one BMC at one poll. Only the arrays of its category are filled."""

    host: str
    """The fleet's name of the operating system or enclosure this is about."""
    category: str
    """What was read at this poll: system, thermal, power, processor, memory, network or storage."""
    observed_at: datetime
    """When the producer finished reading, UTC. Identity of a point in time, not its order."""
    monotonic_s: float
    """The producer's monotonic clock at observed_at; differences within one epoch are elapsed time. [s]"""
    producer: str
    """Name of the producing process."""
    epoch: str
    """Id of this start of the producer; ids of later starts sort higher. Order is (epoch, sequence)."""
    sequence: int
    """Number of this record within its epoch, host and category, from 0 without holes. [1]"""
    previous_epoch: str | None
    """At an epoch's first record of a host and category: the epoch before it."""
    previous_sequence: int | None
    """The last sequence numbered in previous_epoch. What of it is not on Kafka was never handed over. [1]"""
    dropped: list[SequenceRange]
    """Records of this host and category dropped since the last one handed over."""
    duration_s: float
    """How long the poll took. [s]"""
    interval_s: float
    """Intended time between two polls. [s]"""
    errors: list[PollError]
    """What this poll could not read. A reading not got is null, never 0."""
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
    """A pack of alert rules, and from when on it judges."""

    id: str
    """effective_from and fingerprint."""
    fingerprint: str
    """Hash of what the rules say, whatever the file looks like; transitions carry it."""
    name: str
    """What the pack is called: its file."""
    effective_from: datetime
    """It judges what was observed at this time or later."""
    text: str
    """The file, TOML."""


class Matcher(TypedDict):
    """What a field of an alert must be like."""

    name: str
    """rule, host, severity or component; anything else is a label."""
    pattern: str
    """The value; * and ? stand for any characters and any one."""


class Silence(TypedDict):
    """For a time, alerts that match are not delivered."""

    id: str
    """Id: 12 hex digits."""
    matchers: list[Matcher]
    """All of them must match; there is at least one."""
    starts_at: datetime
    """From when on."""
    ends_at: datetime
    """Until when, itself left out. Ending a silence early sets it."""
    who: str
    """Who wants it."""
    why: str
    """Why."""
    created_at: datetime
    """When it was made."""


class Target(TypedDict):
    """A target that shared producers divide. It holds no secret: a password is a reference that its producer follows."""

    source: str
    """redfish or libvirt."""
    host: str
    """Host; of a BMC of several, the enclosure."""
    address: str
    """https://host[:port] of a BMC, URI of a libvirt connection."""
    labels: dict[str, str]
    """Labels of the target."""
    interval_s: float | None
    """Between two polls; null: the source's default. [s]"""
    intervals_s: dict[str, float]
    """Between two polls, by category, where it is not the usual one. [s]"""
    username: str | None
    """User; null: no authentication."""
    password: str | None
    """env:NAME or file:PATH, where its producer finds the password."""
    verify: str
    """Whether its certificate is checked: true, false, or a file of CA certificates where its producer runs."""
    proxy: str | None
    """HTTP proxy, without a password."""
    systems: dict[str, str]
    """Id of a ComputerSystem: its host, where one BMC has several."""
    removed: bool
    """True: it is no target any more. Who polls its partition says so of its status."""


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
    """How it stands."""
    detail: str
    """What is wrong, in words; empty when up."""
    since: datetime
    """When this status began."""
    observed_at: datetime
    """When it was last confirmed."""
    producer: str
    """Producer that polls it."""
    epoch: str
    """Epoch of that producer."""
    polls: int
    """Polls in this epoch. [{poll}]"""
    failures: int
    """Failed polls in this epoch. [{poll}]"""
    duration_s: float | None
    """How long the last poll took. [s]"""
    labels: dict[str, str]
    """Labels of the target."""
    late: int
    """Polls in this epoch that began more than half an interval late, or were left out for one that took too long. [{poll}]"""
    requests: int | None
    """Requests made since it is polled. [{request}]"""
    request_mean_s: float | None
    """How long one of them took on average. [s]"""
    session_uri: str | None
    """Session that is open there: whoever takes over deletes it. Never its token."""
    vendor: str | None
    """Who made it."""
    model: str | None
    """What it is: a BMC's product, a hypervisor's driver."""
    firmware: str | None
    """Version of what answers."""
    left_out: list[str]
    """Parts that are not asked now, or whose figures are stale, such as a VM that hangs."""
    removed: bool
    """True: it is no target any more. Nothing but history has to show it."""
    stopped_by: str | None
    """Who commanded that it is not polled; null: it is, or its producer was stopped."""
    control_offset: int | None
    """Offset of the last record of the control topic that its producer had obeyed when it wrote this; null: there was none. [1]"""


class VmFeature(TypedDict):
    """One VM against its sample before, seeds' measurement vm_features."""

    vmid: str
    """OpenNebula's number for domains named one-<n>, else libvirt's domain id."""
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
    """Rate of disk_errors (Over all disks: I/O errors; null where the hypervisor does not count them). Null: no baseline, reset, or unknown. [{error}/s]"""
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
    """Sequence of the raw record: with host, category and epoch the identity of this fact. [1]"""
    labels: dict[str, str]
    """Labels of the target."""
    vms: list[VmFeature]
    """VMs that have a sample before."""


class VmWatts(TypedDict):
    """One VM's part of a host's watts, estimated."""

    vmid: str
    """OpenNebula's number for domains named one-<n>, else libvirt's domain id."""
    name: str
    """Domain name."""
    uuid: str
    """Domain UUID."""
    cpu_seconds: float
    """CPU time used in the minute. [s]"""
    cpu_share: float
    """Part of the CPU time of all VMs of the host, 0 to 1. 0 where none used any. [1]"""
    estimated_watts: float | None
    """The host's watts by cpu_share: an estimate, not a measurement. Null where no VM used CPU time. [W]"""
    estimated_joules: float | None
    """The host's energy by cpu_share: an estimate, not a measurement. [J]"""
    partial: bool
    """As of the record: the readings do not cover the whole minute."""


class VmPower(TypedDict):
    """A host's watts of one minute over its VMs by CPU time: an estimate."""

    host: str
    """The host, and the fleet's name of its BMC's target."""
    category: str
    """power."""
    observed_at: datetime
    """The end of the minute, UTC."""
    minute: datetime
    """The start of the minute, UTC: with host the identity of this fact."""
    epoch: str
    """Epoch of the last libvirt record in it."""
    labels: dict[str, str]
    """Labels of the host's targets."""
    partial: bool
    """True: the readings of one source, as far as they came within 5 min, do not cover the whole minute."""
    method: str
    """How the watts are divided: cpu-time, by each VM's CPU time."""
    host_watts: float
    """Mean consumption of the host over power_covered_s, as its BMC measured it. [W]"""
    host_joules: float
    """Its energy over power_covered_s. [J]"""
    power_covered_s: float
    """How much of the minute lies between power readings. [s]"""
    cpu_covered_s: float
    """How much of the minute lies between libvirt samples. [s]"""
    vms: list[VmWatts]
    """VMs that ran in the minute."""


class VmTotal(TypedDict):
    """One VM, measurement vm_totals."""

    vmid: str
    """OpenNebula's number for domains named one-<n>, else libvirt's domain id."""
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
    """Over all disks: cumulative I/O errors; null where the hypervisor does not count them. [{error}]"""
    memactual: int | None
    """Memory given to the guest (balloon), KiB. [KiBy]"""
    memrss: int | None
    """Resident memory of the domain's process, KiB. [KiBy]"""
    memavailable: int | None
    """Memory the guest sees in all, KiB. [KiBy]"""
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
    """True: some part of a total was unknown; the total is the sum of the known parts."""


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
    """Sequence of the raw record: with host, category and epoch the identity of this fact. [1]"""
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
    """Over all VMs of the host: cumulative I/O errors; null where the hypervisor does not count them. Falls when a VM leaves. [{error}]"""
    memactual: int | None
    """Over all VMs of the host: memory given to the guest (balloon), KiB. [KiBy]"""
    memrss: int | None
    """Over all VMs of the host: resident memory of the domain's process, KiB. [KiBy]"""
    memavailable: int | None
    """Over all VMs of the host: memory the guest sees in all, KiB. [KiBy]"""
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
    """True: some part of a sum over the VMs was unknown; the sum is of the known parts."""
