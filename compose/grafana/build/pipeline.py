"""The pipeline itself, by the metrics of its processes: does all that is measured arrive, and how soon?"""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import PROMETHEUS, Board, counted, watched

RATE: Final = "[$__rate_interval]"
BOARD: Final = Board("pipeline", "Pipeline", "Producers, processors and sinks, by their own metrics.", (
    counted("Processes", "none", "count(process_start_time_seconds)"),
    counted("Records out", "cps", "sum(rate(rackstream_records_out_total[1m]))"),
    counted("Behind", "none", "sum(rackstream_partition_lag_records)", warn=1000, about="Records that have not been stepped, or stored, yet."),
    counted("Dead letters", "none", "sum(increase(rackstream_records_rejected_total[1h]))", warn=1, about="Within an hour."),
    counted("Dropped", "none", "sum(increase(rackstream_records_dropped_total[1h]))", warn=1, about="Within an hour."),
    counted("Polls late", "none", "sum(increase(rackstream_polls_late_total[1h]))", warn=1, about="Within an hour."),
    watched("Records written", "cps", (f"sum by (topic) (rate(rackstream_records_out_total{RATE}))", "{{topic}}")),
    watched("Records stored", "cps", (f"sum by (component) (rate(rackstream_records_stored_total{RATE}))", "{{component}}"),
            (f"sum by (component) (rate(rackstream_lines_stored_total{RATE}))", "{{component}} lines")),
    watched("Targets", "none", ("sum by (source, status) (rackstream_targets)", "{{source}} {{status}}")),
    watched("Time of a poll", "s", (f"sum by (source, vendor) (rate(rackstream_poll_duration_seconds_sum{RATE})) / sum by (source, vendor) (rate(rackstream_poll_duration_seconds_count{RATE}))", "{{source}} {{vendor}}"),
            about="Mean."),
    watched("Polls that failed or were late", "cps", (f'sum by (source, status) (rate(rackstream_polls_total{{status!="up"}}{RATE}))', "{{source}} {{status}}"),
            (f"sum by (source) (rate(rackstream_polls_late_total{RATE}))", "{{source}} late")),
    watched("Requests to targets", "reqps", (f"sum by (source) (rate(rackstream_source_requests_total{RATE}))", "{{source}}"),
            (f"sum by (source, kind) (rate(rackstream_source_faults_total{RATE}))", "{{source}} not got: {{kind}}")),
    watched("Records behind", "none", ("sum by (component, topic) (rackstream_partition_lag_records) > 0", "{{component}} {{topic}}")),
    watched("Age of records", "s", (f"histogram_quantile(0.9, sum by (component, hop, le) (rate(rackstream_sample_age_seconds_bucket{RATE})))", "{{component}} {{hop}}"),
            about="Nine tenths are younger, at each hop from the reading to what is stored."),
    watched("Time to an alert", "s", (f"histogram_quantile(0.9, sum by (component, hop, le) (rate(rackstream_alert_latency_seconds_bucket{RATE})))", "{{component}} {{hop}}"),
            about="Nine tenths were quicker, from the reading to the alert."),
    watched("Time of a step", "s", (f"sum by (step) (rate(rackstream_step_seconds_total{RATE})) / sum by (step) (rate(rackstream_stepped_records_total{RATE}))", "{{step}}"),
            about="Mean, per record."),
    watched("Waiting for the broker", "none", ("sum by (component) (rackstream_queued_records)", "{{component}}"), ("sum by (component) (rackstream_spooled_records)", "{{component}}, on disk")),
    watched("Rejected, dropped, tried again", "cps", (f"sum by (component, reason) (rate(rackstream_records_rejected_total{RATE}))", "rejected by {{component}}: {{reason}}"),
            (f"sum by (component, cause) (rate(rackstream_records_dropped_total{RATE}))", "dropped by {{component}}: {{cause}}"),
            (f"sum by (component) (rate(rackstream_retries_total{RATE}))", "retries of {{component}}")),
    watched("CPU", "percentunit", (f"sum by (component) (rate(process_cpu_seconds_total{RATE}))", "{{component}}"), about="Of one core."),
    watched("Disk free", "percentunit", ("min by (component, directory) (rackstream_disk_free_bytes / rackstream_disk_size_bytes)", "{{component}} {{directory}}")),
    watched("Memory", "bytes", ("sum by (component) (process_resident_memory_bytes)", "{{component}}")),
), source=PROMETHEUS)
