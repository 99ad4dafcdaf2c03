"""Reference page of all metrics, from the list in `runtime.metrics`."""

from __future__ import annotations

from typing import Final

from runtime import metrics

COMPONENT_NAMES: Final = {
    metrics.ALL_COMPONENTS: "all",
    metrics.PRODUCER: "producers",
    metrics.REDFISH: "producer redfish",
    metrics.PROCESSOR: "processor",
    metrics.SINK: "sinks",
    metrics.FILES: "sink files",
    metrics.INFLUX: "sink influx",
    metrics.WEBHOOK: "sink webhook",
}
INTRODUCTION: Final = """\
# Metrics

Made by `scripts/generate` from `runtime/metrics.py`; `make check` fails if it is out of date.

Every process serves its metrics for Prometheus at `/metrics` on the port `RACKSTREAM_METRICS_PORT`, on 127.0.0.1 or the
address `RACKSTREAM_METRICS_HOST`; `rackstream serve` also serves them on its own port. `rackstream up` and `rackstream
demo` assign a port to each process and write the addresses to `prometheus/targets.json` in the data directory, for
`file_sd_configs`; the console serves the same list at `/api/prometheus/targets`, for `http_sd_configs`. Each target has
the label `component`, such as `producer-redfish` or `sink-files`; the metrics themselves do not name their process.

`compose/prometheus` has the configuration and alerting rules for the health of the pipeline. How to respond to each is
in [Troubleshooting](troubleshooting.md).
"""


def text() -> str:
    """Returns the page."""
    metric_rows = [
        f"| `{metric.name}` | {metric.kind} | {metric.unit} | {', '.join(f'`{label}`' for label in metric.labels)} | "
        f"{', '.join(COMPONENT_NAMES[component] for component in metric.components)} | {metric.doc} |"
        for metric in metrics.METRICS
    ]
    used_labels = {label for metric in metrics.METRICS for label in metric.labels}
    label_rows = [f"| `{name}` | {values} |" for name, values in metrics.LABELS.items() if name in used_labels]
    client_rows = [
        f"| `{name}` | {kind} | {unit} | {doc} |" for name, (kind, unit, doc) in metrics.CLIENT_METRICS.items()
    ]
    bucket_lines = [
        f"- `{metric.name}`: {', '.join(f'{bound:g}' for bound in metric.buckets)}"
        for metric in metrics.METRICS
        if metric.buckets
    ]
    return "\n".join(
        [
            INTRODUCTION,
            "| metric | type | unit | labels | exported by | description |",
            "|---|---|---|---|---|---|",
            *metric_rows,
            "\n## Labels\n",
            "| label | values |",
            "|---|---|",
            *label_rows,
            "\n## Buckets\n",
            "Upper bounds of the histograms, in seconds:\n",
            *bucket_lines,
            "\n## Metrics of the client library\n",
            "Exported by all processes:\n",
            "| metric | type | unit | description |",
            "|---|---|---|---|",
            *client_rows,
            "",
        ]
    )
