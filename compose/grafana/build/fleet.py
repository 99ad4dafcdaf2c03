"""All hosts at once: what is wrong, what is hot, what draws power."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import HOST, SINCE, Board, Column, lines, newest, number, over_time, rows

TARGETS: Final = newest("target", ("source", "host"), "*", "NOT removed")
MARGIN: Final = "upper_threshold_critical - reading_celsius"
HOTTEST: Final = newest(
    "redfish_temperature", ("host", "chassis_id", "sensor_id"),
    f"host, sensor_name, reading_celsius, upper_threshold_critical, {MARGIN} AS margin",
    "reading_celsius IS NOT NULL AND upper_threshold_critical > 0", "margin",
)
ACTIVE: Final = newest("alert", ("id",), "time, host, severity, rule, component, text", "transition <> 'cleared'")

BOARD: Final = Board("fleet", "Fleet", "All hosts at once.", (
    number("Hosts", "none", f"SELECT count(DISTINCT host) AS hosts FROM ({TARGETS})"),
    number("Targets not up", "none", f"SELECT count(*) AS targets FROM ({TARGETS}) WHERE status <> 'up'", warn=1,
           about="Targets whose newest status within the range is another than «up»."),
    number("Active alerts", "none", f"SELECT count(*) AS alerts FROM ({ACTIVE})", warn=1,
           about="Raised within the range, and not cleared."),
    number("Power", "watt", f"SELECT sum(consumed_watts) AS watts FROM ({newest('power', ('host',), 'consumed_watts')})"),
    number("VMs", "none", f"SELECT sum(vm_count) AS vms FROM ({newest('host_totals', ('host',), 'vm_count')})"),
    number("Hosts not healthy", "none",
           f"SELECT count(*) AS hosts FROM ({newest('health', ('host',), '*')}) WHERE overall IN ('Warning', 'Critical')",
           warn=1, about="What the BMC says, of hosts whose health changed within the range."),
    rows("Active alerts", f"{ACTIVE} ORDER BY time DESC",
         {"time": SINCE, "host": HOST, "severity": Column("severity", width=90, coloured=True)}),
    rows("Targets that are not up",
         newest("target", ("source", "host"), "time, source, host, status, detail", "NOT removed AND status <> 'up'", "host"),
         {"time": SINCE, "host": HOST, "status": Column("status", width=110, coloured=True)}),
    lines("Power per host", "watt", over_time("power", "avg(consumed_watts) AS watts"), stacked=True),
    lines("Hottest temperature per host", "celsius", over_time("redfish_temperature", "max(reading_celsius) AS celsius")),
    rows("Sensors nearest to their limit", f"{HOTTEST} LIMIT 20",
         {"host": HOST, "sensor_name": Column("sensor"), "reading_celsius": Column("reading", "celsius"),
          "upper_threshold_critical": Column("critical from", "celsius"), "margin": Column("margin", "celsius")}),
    rows("VMs by CPU",
         newest("vm_features", ("host", "uuid"), "host, name, cputime_rate / 10000000 AS cpu, net_rxbytes_rate,"
                " net_txbytes_rate, disk_rd_bytes_rate, disk_wr_bytes_rate", "cputime_rate IS NOT NULL",
                "cputime_rate DESC LIMIT 20"),
         {"host": HOST, "name": Column("VM", link="/d/rackstream-vm?var-vm=${__value.raw:percentencode}&${__url_time_range}"),
          "cpu": Column("CPU", "percent"), "net_rxbytes_rate": Column("received", "Bps"),
          "net_txbytes_rate": Column("sent", "Bps"), "disk_rd_bytes_rate": Column("read", "Bps"),
          "disk_wr_bytes_rate": Column("written", "Bps")}),
    lines("CPU per host", "percent", over_time("host", "avg(cpu_percent) AS cpu")),
    lines("Memory available per host", "bytes", over_time("host", "min(memory_available) AS available")),
))
