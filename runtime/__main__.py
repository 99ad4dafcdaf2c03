"""`python -m runtime` writes docs/metrics.md anew from the list; with `--check` only says whether it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from runtime import codegen, metrics

FILE: Final = Path(__file__).parents[1] / "docs" / "metrics.md"
PARTS: Final = {
    metrics.ALL: "all",
    metrics.PRODUCER: "producers",
    metrics.REDFISH: "producer redfish",
    metrics.PROCESSOR: "processor",
    metrics.SINK: "sinks",
    metrics.FILES: "sink files",
    metrics.INFLUX: "sink influx",
    metrics.WEBHOOK: "sink webhook",
}
HEAD: Final = """\
# Metrics

Made by `python -m runtime` from `runtime/metrics.py`; `make check` says when it is stale.

Every process serves its metrics for Prometheus at `/metrics` on the port `RACKSTREAM_METRICS_PORT`, on 127.0.0.1 or the
address `RACKSTREAM_METRICS_HOST`; `rackstream serve` also on its own port. `rackstream up` and `rackstream demo` give
each part a port and write where they are to `prometheus/targets.json` in the data directory, for `file_sd_configs`; the
console serves the same at `/api/prometheus/targets`, for `http_sd_configs`. Each target has the label `component`, such
as `producer-redfish` or `sink-files`; the metrics themselves do not say whose they are.

`compose/prometheus` has the configuration, and rules for the pipeline's own health. What to do about each is in
[Troubleshooting](troubleshooting.md).
"""


def text() -> str:
    """The whole file."""
    rows = [
        f"| `{each.name}` | {each.kind} | {each.unit} | {_code(each.labels)} | "
        f"{', '.join(PARTS[part] for part in each.parts)} | {each.doc} |"
        for each in metrics.LIST
    ]
    used = {label for each in metrics.LIST for label in each.labels}
    labels = [f"| `{name}` | {what} |" for name, what in metrics.LABELS.items() if name in used]
    client = [f"| `{name}` | {kind} | {unit} | {doc} |" for name, (kind, unit, doc) in metrics.CLIENT.items()]
    bounds = [
        f"- `{each.name}`: {', '.join(f'{bound:g}' for bound in each.buckets)}" for each in metrics.LIST if each.buckets
    ]
    return "\n".join(
        [
            HEAD,
            "| metric | type | unit | labels | of | what |",
            "|---|---|---|---|---|---|",
            *rows,
            "\n## Labels\n",
            "| label | values |",
            "|---|---|",
            *labels,
            "\n## Buckets\n",
            "Upper bounds of the histograms, in seconds:\n",
            *bounds,
            "\n## Of each process\n",
            "What the client library adds, in the processes of all parts:\n",
            "| metric | type | unit | what |",
            "|---|---|---|---|",
            *client,
            "",
        ]
    )


def _code(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def main(arguments: list[str]) -> int:
    """Exit code: 1 where the file is stale and is not to be written."""
    return codegen.write({FILE: text()}, "runtime", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
