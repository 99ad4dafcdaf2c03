"""Power and energy: what hosts draw, what their supplies take in, what VMs are estimated to use."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import HOST, WITHIN, Board, Column, lines, newest, number, over_time, rows

NOW: Final = newest("power", ("host",), "*")
BOARD: Final = Board("power", "Power", "Watts and joules of hosts, supplies and VMs.", (
    number("Drawn", "watt", f"SELECT sum(consumed_watts) AS watts FROM ({NOW})", width=6),
    number("Available", "watt", f"SELECT sum(available_watts) AS watts FROM ({NOW})", width=6, about="Of the hosts that say so."),
    number("Energy in the range", "joule", f"SELECT sum(energy_joules) AS joules FROM power WHERE {WITHIN}", width=6),
    number("Supplies' efficiency", "percent", f"SELECT avg(average_psu_efficiency) AS percent FROM ({NOW})", width=6),
    lines("Drawn, per host", "watt", over_time("power", "avg(consumed_watts) AS watts"), stacked=True, width=24),
    lines("Of what is available", "percent", over_time("power", "avg(power_utilization_percent) AS percent")),
    lines("Supplies", "watt", over_time("power", "avg(psu_input_watts) AS taken_in, avg(psu_output_watts) AS delivered")),
    lines("Consumed of what supplies take in", "percent", over_time("power", "avg(consumed_of_psu_input_percent) AS percent"),
          about="Far from 100: the chassis and its supplies do not agree, or a supply says nothing."),
    lines("Energy", "joule", over_time("power", "sum(energy_joules) AS joules"), about="In the width of a point."),
    rows("Hosts by power", newest("power", ("host",), "host, consumed_watts, available_watts, power_utilization_percent, psu_input_watts",
                                  "consumed_watts IS NOT NULL", "consumed_watts DESC LIMIT 50"),
         {"host": HOST, "consumed_watts": Column("drawn", "watt"), "available_watts": Column("available", "watt"),
          "power_utilization_percent": Column("used", "percent"), "psu_input_watts": Column("supplies", "watt")}),
    rows("VMs by estimated power", newest("vm_power", ("host", "uuid"), "host, name, estimated_watts, cpu_share", "estimated_watts IS NOT NULL", "estimated_watts DESC LIMIT 50"),
         {"host": HOST, "name": Column("VM"), "estimated_watts": Column("estimate", "watt"), "cpu_share": Column("of the host's CPU time", "percentunit")},
         about="A host's watts of the last whole minute over its VMs by CPU time."),
))
