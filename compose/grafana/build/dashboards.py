"""Generates Grafana's dashboards, `compose/grafana/dashboards/*.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from compose.grafana.build import alerts, fleet, host, pipeline, power, vm

DIRECTORY: Final = Path(__file__).resolve().parents[1] / "dashboards"
BOARDS: Final = (fleet.BOARD, host.BOARD, vm.BOARD, power.BOARD, alerts.BOARD, pipeline.BOARD)


def generated_files() -> dict[Path, str]:
    """Returns a JSON file per dashboard."""
    return {
        DIRECTORY / f"{board.uid}.json": json.dumps(board.build(), cls=JSONEncoder, indent=1) + "\n"
        for board in BOARDS
    }
