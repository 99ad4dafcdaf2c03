"""`python -m compose.grafana.build`: writes the dashboards; with `--check` only says which are stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from compose.grafana.build import alerts, fleet, host, pipeline, power, vm
from runtime import codegen

WHERE: Final = Path(__file__).resolve().parents[1] / "dashboards"
BOARDS: Final = (fleet.BOARD, host.BOARD, vm.BOARD, power.BOARD, alerts.BOARD, pipeline.BOARD)


def main(arguments: list[str]) -> int:
    """Exit code: 1 where a dashboard is stale and is not to be written."""
    made = {WHERE / f"{board.uid}.json": json.dumps(board.build(), cls=JSONEncoder, indent=1) + "\n" for board in BOARDS}
    return codegen.write(made, "compose.grafana.build", arguments, there=WHERE.glob("*.json"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
