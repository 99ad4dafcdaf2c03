"""Fleet dashboard: problems, temperatures and power of all hosts."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import (
    HOST_COLUMN,
    TIME_COLUMN,
    Column,
    Dashboard,
    influx_graph,
    influx_stat,
    influx_table,
    latest_rows,
    time_series,
)

CURRENT_TARGETS: Final = latest_rows("target", ("source", "host"), "*", "NOT removed")
MARGIN: Final = "upper_threshold_critical - reading_celsius"
CLOSEST_TO_LIMIT: Final = latest_rows(
    "redfish_temperature", ("host", "chassis_id", "sensor_id"),
    f"host, sensor_name, reading_celsius, upper_threshold_critical, {MARGIN} AS margin",
    "reading_celsius IS NOT NULL AND upper_threshold_critical > 0", "margin",
)
ACTIVE_ALERTS: Final = latest_rows("alert", ("id",), "time, host, severity, rule, component, text", "transition <> 'cleared'")

BOARD: Final = Dashboard("fleet", "Fleet", "All hosts.", (
    influx_stat("Hosts", "none", f"SELECT count(DISTINCT host) AS hosts FROM ({CURRENT_TARGETS})"),
    influx_stat("Targets not up", "none", f"SELECT count(*) AS targets FROM ({CURRENT_TARGETS}) WHERE status <> 'up'", warn=1,
           about="Targets whose latest status in the range is not «up»."),
    influx_stat("Active alerts", "none", f"SELECT count(*) AS alerts FROM ({ACTIVE_ALERTS})", warn=1,
           about="Raised in the range and not cleared."),
    influx_stat("Power", "watt", f"SELECT sum(consumed_watts) AS watts FROM ({latest_rows('power', ('host',), 'consumed_watts')})"),
    influx_stat("VMs", "none", f"SELECT sum(vm_count) AS vms FROM ({latest_rows('host_totals', ('host',), 'vm_count')})"),
    influx_stat("Hosts not healthy", "none",
           f"SELECT count(*) AS hosts FROM ({latest_rows('health', ('host',), '*')}) WHERE overall IN ('Warning', 'Critical')",
           warn=1, about="Health reported by the BMC, for hosts whose health changed in the range."),
    influx_table("Active alerts", f"{ACTIVE_ALERTS} ORDER BY time DESC",
         {"time": TIME_COLUMN, "host": HOST_COLUMN, "severity": Column("severity", width=90, coloured=True)}),
    influx_table("Targets that are not up",
         latest_rows("target", ("source", "host"), "time, source, host, status, detail", "NOT removed AND status <> 'up'", "host"),
         {"time": TIME_COLUMN, "host": HOST_COLUMN, "status": Column("status", width=110, coloured=True)}),
    influx_graph("Power per host", "watt", time_series("power", "avg(consumed_watts) AS watts"), stacked=True),
    influx_graph("Hottest temperature per host", "celsius", time_series("redfish_temperature", "max(reading_celsius) AS celsius")),
    influx_table("Sensors closest to their limit", f"{CLOSEST_TO_LIMIT} LIMIT 20",
         {"host": HOST_COLUMN, "sensor_name": Column("sensor"), "reading_celsius": Column("reading", "celsius"),
          "upper_threshold_critical": Column("critical threshold", "celsius"), "margin": Column("margin", "celsius")}),
    influx_table("VMs by CPU",
         latest_rows("vm_features", ("host", "uuid"), "host, name, cputime_rate / 10000000 AS cpu, net_rxbytes_rate,"
                " net_txbytes_rate, disk_rd_bytes_rate, disk_wr_bytes_rate", "cputime_rate IS NOT NULL",
                "cputime_rate DESC LIMIT 20"),
         {"host": HOST_COLUMN, "name": Column("VM", link="/d/rackstream-vm?var-vm=${__value.raw:percentencode}&${__url_time_range}"),
          "cpu": Column("CPU", "percent"), "net_rxbytes_rate": Column("received", "Bps"),
          "net_txbytes_rate": Column("sent", "Bps"), "disk_rd_bytes_rate": Column("read", "Bps"),
          "disk_wr_bytes_rate": Column("written", "Bps")}),
    influx_graph("CPU per host", "percent", time_series("host", "avg(cpu_percent) AS cpu")),
    influx_graph("Memory available per host", "bytes", time_series("host", "min(memory_available) AS available")),
))
