"""Host dashboard: BMC, operating system and VMs of one host."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import (
    TIME_COLUMN,
    TIME_FILTER,
    Column,
    Dashboard,
    influx_graph,
    influx_stat,
    influx_table,
    latest_rows,
    query_variable,
    time_series,
)

THIS_HOST: Final = "host = ${host:sqlstring}"
HEALTH: Final = Column("health", width=90, coloured=True)
VM: Final = Column("VM", link="/d/rackstream-vm?var-vm=${__value.raw:percentencode}&${__url_time_range}")


def _latest_rows(measurement: str, by: str, columns: str) -> str:
    return latest_rows(measurement, (by,), columns, THIS_HOST, by)


def _time_series(measurement: str, values: str, by: str = "") -> str:
    return time_series(measurement, values, by, THIS_HOST)


BOARD: Final = Dashboard("host", "Host", "One host: its BMC, its operating system, its VMs.", (
    influx_stat("Health", "string", latest_rows("health", ("host",), "overall", THIS_HOST), about="Worst health reported by the BMC."),
    influx_stat("Power", "watt", latest_rows("power", ("host",), "consumed_watts", THIS_HOST)),
    influx_stat("Power utilization", "percent", latest_rows("power", ("host",), "power_utilization_percent", THIS_HOST), warn=90),
    influx_stat("VMs", "none", latest_rows("host_totals", ("host",), "vm_count", THIS_HOST)),
    influx_stat("CPU", "percent", latest_rows("host", ("host",), "cpu_percent", THIS_HOST), warn=90),
    influx_stat("Memory available", "bytes", latest_rows("host", ("host",), "memory_available", THIS_HOST)),
    influx_table("Sources", latest_rows("target", ("source", "host"), "time, source, status, detail, vendor, model, firmware, duration_s",
                                  f"{THIS_HOST} AND NOT removed", "source"),
         {"time": TIME_COLUMN, "status": Column("status", width=110, coloured=True), "duration_s": Column("poll", "s")}),
    influx_table("Alerts", f"SELECT time, severity, rule, component, transition, text FROM alert WHERE {TIME_FILTER} AND {THIS_HOST} ORDER BY time DESC LIMIT 100",
         {"time": TIME_COLUMN, "severity": Column("severity", width=90, coloured=True)}),
    influx_graph("Temperatures", "celsius", _time_series("redfish_temperature", "avg(reading_celsius) AS celsius", "sensor_name")),
    influx_graph("Fans", "none", _time_series("redfish_fan", "avg(reading_rpm) AS speed", "sensor_name, reading_units"),
          about="RPM or percent, as the BMC reports each fan."),
    influx_graph("Power", "watt", _time_series("power", "avg(consumed_watts) AS consumed, avg(psu_input_watts) AS supplied, avg(available_watts) AS available"),
          about="consumed: reported by the chassis; supplied: input of the power supplies; available: limit."),
    influx_graph("Voltages", "volt", _time_series("redfish_voltage", "avg(reading_volts) AS volts", "sensor_name")),
    influx_table("Power supplies", _latest_rows("redfish_power_supply", "sensor_id", "sensor_name, model, power_input_watts, power_output_watts, efficiency_percent, health, state"),
         {"sensor_name": Column("supply"), "power_input_watts": Column("input", "watt"), "power_output_watts": Column("output", "watt"),
          "efficiency_percent": Column("efficiency", "percent"), "health": HEALTH}),
    influx_table("Drives", latest_rows("redfish_drive", ("system_id", "chassis_id", "storage_id", "drive_id"),
                          "name, model, media_type, capacity_bytes, failure_predicted, health, state", THIS_HOST, "name"),
         {"name": Column("drive"), "capacity_bytes": Column("capacity", "bytes"), "health": HEALTH}),
    influx_table("Memory modules", _latest_rows("redfish_memory", "memory_id", "device_locator, capacity_mib, operating_speed_mhz, temperature_celsius, health, state"),
         {"capacity_mib": Column("capacity", "mbytes"), "temperature_celsius": Column("temperature", "celsius"), "health": HEALTH}),
    influx_table("Processors", _latest_rows("redfish_processor", "processor_id", "socket, processor_type, model, total_cores, temperature_celsius, consumed_power_watts, health, state"),
         {"temperature_celsius": Column("temperature", "celsius"), "consumed_power_watts": Column("power", "watt"), "health": HEALTH}),
    influx_table("VMs", latest_rows("vm_metrics", ("uuid",), "name, state, cpu_count, memory_used_kb", THIS_HOST, "name"),
         {"name": VM, "cpu_count": Column("CPUs"), "memory_used_kb": Column("memory", "kbytes")}),
    influx_graph("CPU of VMs", "percent", _time_series("vm_features", "avg(cputime_rate) / 10000000 AS cpu", "name"), about="Percent of one core."),
    influx_graph("CPU", "percent", _time_series("host", "avg(cpu_percent) AS cpu")),
    influx_graph("Load", "none", _time_series("host", "avg(load_1) AS one_minute, avg(load_5) AS five, avg(load_15) AS fifteen")),
    influx_graph("Memory", "bytes", _time_series("host", "avg(memory_used) AS used, avg(memory_cached) AS cached, avg(memory_available) AS available")),
    influx_graph("Swap", "bytes", _time_series("host", "avg(swap_used) AS used")),
    influx_graph("Disks", "Bps", _time_series("host_disk_rates", "avg(read_bytes_rate) AS read, avg(write_bytes_rate) AS written", "device")),
    influx_graph("Network", "Bps", _time_series("host_interface_rates", "avg(rxbytes_rate) AS received, avg(txbytes_rate) AS sent", "device")),
    influx_table("File systems", _latest_rows("host_filesystem", "mountpoint", "mountpoint, fstype, total, used, free"),
         {"total": Column("size", "bytes"), "used": Column("used", "bytes"), "free": Column("free", "bytes")}),
    influx_graph("Errors and drops", "cps", _time_series("host_interface_rates", "sum(rxerrors_rate + txerrors_rate) AS errors, sum(rxdrops_rate + txdrops_rate) AS drops", "device")),
), variables=(query_variable("host", "Host", f"SELECT DISTINCT host FROM target WHERE {TIME_FILTER} ORDER BY host"),))
