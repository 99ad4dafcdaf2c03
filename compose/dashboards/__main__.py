"""`python -m compose.dashboards`: writes the dashboards; with `--check` only says which are stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from compose.dashboards import alerts, fleet, host, pipeline, power, vm

WHERE: Final = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"
BOARDS: Final = (fleet.BOARD, host.BOARD, vm.BOARD, power.BOARD, alerts.BOARD, pipeline.BOARD)


def main() -> int:
    """Exit code 1: with `--check`, a file is not what the code makes."""
    made = {f"{each.uid}.json": json.dumps(each.build(), cls=JSONEncoder, indent=1) + "\n" for each in BOARDS}
    there = {path.name: path.read_text() for path in WHERE.glob("*.json")}
    stale = sorted(name for name in made | there if made.get(name) != there.get(name))
    for name in stale:
        print(
            f"compose/grafana/dashboards/{name} is not what compose/dashboards/ makes; run python -m compose.dashboards"
        )
        if "--check" not in sys.argv and name in made:
            (WHERE / name).write_text(made[name])
        elif "--check" not in sys.argv:
            (WHERE / name).unlink()
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
