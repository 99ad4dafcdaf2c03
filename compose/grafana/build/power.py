"""Power dashboard: consumption of hosts, input of power supplies, estimates for VMs."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import (
    HOST_COLUMN,
    TIME_FILTER,
    Column,
    Dashboard,
    influx_graph,
    influx_stat,
    influx_table,
    latest_rows,
    time_series,
)

LATEST_POWER: Final = latest_rows("power", ("host",), "*")
BOARD: Final = Dashboard("power", "Power", "Watts and joules of hosts, supplies and VMs.", (
    influx_stat("Consumed", "watt", f"SELECT sum(consumed_watts) AS watts FROM ({LATEST_POWER})", width=6),
    influx_stat("Available", "watt", f"SELECT sum(available_watts) AS watts FROM ({LATEST_POWER})", width=6, about="Of the hosts that report it."),
    influx_stat("Energy in the range", "joule", f"SELECT sum(energy_joules) AS joules FROM power WHERE {TIME_FILTER}", width=6),
    influx_stat("Efficiency of supplies", "percent", f"SELECT avg(average_psu_efficiency) AS percent FROM ({LATEST_POWER})", width=6),
    influx_graph("Consumed, per host", "watt", time_series("power", "avg(consumed_watts) AS watts"), stacked=True, width=24),
    influx_graph("Power utilization", "percent", time_series("power", "avg(power_utilization_percent) AS percent")),
    influx_graph("Supplies", "watt", time_series("power", "avg(psu_input_watts) AS input, avg(psu_output_watts) AS output")),
    influx_graph("Consumed / supply input", "percent", time_series("power", "avg(consumed_of_psu_input_percent) AS percent"),
          about="Far from 100: chassis and supplies disagree, or a supply reports nothing."),
    influx_graph("Energy", "joule", time_series("power", "sum(energy_joules) AS joules"), about="Per point."),
    influx_table("Hosts by power", latest_rows("power", ("host",), "host, consumed_watts, available_watts, power_utilization_percent, psu_input_watts",
                                  "consumed_watts IS NOT NULL", "consumed_watts DESC LIMIT 50"),
         {"host": HOST_COLUMN, "consumed_watts": Column("consumed", "watt"), "available_watts": Column("available", "watt"),
          "power_utilization_percent": Column("utilization", "percent"), "psu_input_watts": Column("supply input", "watt")}),
    influx_table("VMs by estimated power", latest_rows("vm_power", ("host", "uuid"), "host, name, estimated_watts, cpu_share", "estimated_watts IS NOT NULL", "estimated_watts DESC LIMIT 50"),
         {"host": HOST_COLUMN, "name": Column("VM"), "estimated_watts": Column("estimate", "watt"), "cpu_share": Column("share of CPU time", "percentunit")},
         about="A host's power in the last complete minute, divided among its VMs by CPU time."),
))
