"""Pipeline dashboard: throughput, latency and errors of the pipeline, from the metrics of its processes."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import PROMETHEUS, Dashboard, prometheus_graph, prometheus_stat

RATE: Final = "[$__rate_interval]"
BOARD: Final = Dashboard("pipeline", "Pipeline", "Metrics of producers, processors and sinks.", (
    prometheus_stat("Processes", "none", "count(process_start_time_seconds)"),
    prometheus_stat("Records out", "cps", "sum(rate(rackstream_records_out_total[1m]))"),
    prometheus_stat("Lag", "none", "sum(rackstream_partition_lag_records)", warn=1000, about="Records not yet processed or stored."),
    prometheus_stat("Dead letters", "none", "sum(increase(rackstream_records_rejected_total[1h]))", warn=1, about="In the last hour."),
    prometheus_stat("Dropped", "none", "sum(increase(rackstream_records_dropped_total[1h]))", warn=1, about="In the last hour."),
    prometheus_stat("Late polls", "none", "sum(increase(rackstream_polls_late_total[1h]))", warn=1, about="In the last hour."),
    prometheus_graph("Records written", "cps", (f"sum by (topic) (rate(rackstream_records_out_total{RATE}))", "{{topic}}")),
    prometheus_graph("Records stored", "cps", (f"sum by (component) (rate(rackstream_records_stored_total{RATE}))", "{{component}}"),
            (f"sum by (component) (rate(rackstream_lines_stored_total{RATE}))", "{{component}} lines")),
    prometheus_graph("Targets", "none", ("sum by (source, status) (rackstream_targets)", "{{source}} {{status}}")),
    prometheus_graph("Poll duration", "s", (f"sum by (source, vendor) (rate(rackstream_poll_duration_seconds_sum{RATE})) / sum by (source, vendor) (rate(rackstream_poll_duration_seconds_count{RATE}))", "{{source}} {{vendor}}"),
            about="Mean."),
    prometheus_graph("Failed and late polls", "cps", (f'sum by (source, status) (rate(rackstream_polls_total{{status!="up"}}{RATE}))', "{{source}} {{status}}"),
            (f"sum by (source) (rate(rackstream_polls_late_total{RATE}))", "{{source}} late")),
    prometheus_graph("Requests to targets", "reqps", (f"sum by (source) (rate(rackstream_source_requests_total{RATE}))", "{{source}}"),
            (f"sum by (source, kind) (rate(rackstream_source_faults_total{RATE}))", "{{source}} failed: {{kind}}")),
    prometheus_graph("Lag in records", "none", ("sum by (component, topic) (rackstream_partition_lag_records) > 0", "{{component}} {{topic}}")),
    prometheus_graph("Age of records", "s", (f"histogram_quantile(0.9, sum by (component, hop, le) (rate(rackstream_sample_age_seconds_bucket{RATE})))", "{{component}} {{hop}}"),
            about="90th percentile at each hop from the reading to the stored row."),
    prometheus_graph("Alert latency", "s", (f"histogram_quantile(0.9, sum by (component, hop, le) (rate(rackstream_alert_latency_seconds_bucket{RATE})))", "{{component}} {{hop}}"),
            about="90th percentile from the reading to the alert."),
    prometheus_graph("Step duration", "s", (f"sum by (step) (rate(rackstream_step_seconds_total{RATE})) / sum by (step) (rate(rackstream_stepped_records_total{RATE}))", "{{step}}"),
            about="Mean, per record."),
    prometheus_graph("Waiting for the broker", "none", ("sum by (component) (rackstream_queued_records)", "{{component}}"), ("sum by (component) (rackstream_spooled_records)", "{{component}}, on disk")),
    prometheus_graph("Rejected, dropped, retried", "cps", (f"sum by (component, reason) (rate(rackstream_records_rejected_total{RATE}))", "rejected by {{component}}: {{reason}}"),
            (f"sum by (component, cause) (rate(rackstream_records_dropped_total{RATE}))", "dropped by {{component}}: {{cause}}"),
            (f"sum by (component) (rate(rackstream_retries_total{RATE}))", "retries of {{component}}")),
    prometheus_graph("CPU", "percentunit", (f"sum by (component) (rate(process_cpu_seconds_total{RATE}))", "{{component}}"), about="Percent of one core."),
    prometheus_graph("Free disk space", "percentunit", ("min by (component, directory) (rackstream_disk_free_bytes / rackstream_disk_size_bytes)", "{{component}} {{directory}}")),
    prometheus_graph("Memory", "bytes", ("sum by (component) (process_resident_memory_bytes)", "{{component}}")),
), source=PROMETHEUS)
