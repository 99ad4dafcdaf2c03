"""One host: what its BMC measures, what its operating system says, its VMs."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import SINCE, WITHIN, Board, Column, choice, lines, newest, number, over_time, rows

MINE: Final = "host = ${host:sqlstring}"
HEALTH: Final = Column("health", width=90, coloured=True)
VM: Final = Column("VM", link="/d/rackstream-vm?var-vm=${__value.raw:percentencode}&${__url_time_range}")


def _newest(measurement: str, by: str, columns: str) -> str:
    return newest(measurement, (by,), columns, MINE, by)


def _lines(measurement: str, values: str, by: str = "") -> str:
    return over_time(measurement, values, by, MINE)


BOARD: Final = Board("host", "Host", "One host: its BMC, its operating system, its VMs.", (
    number("Health", "string", newest("health", ("host",), "overall", MINE), about="Worst of what the BMC says."),
    number("Power", "watt", newest("power", ("host",), "consumed_watts", MINE)),
    number("Of what is available", "percent", newest("power", ("host",), "power_utilization_percent", MINE), warn=90),
    number("VMs", "none", newest("host_totals", ("host",), "vm_count", MINE)),
    number("CPU", "percent", newest("host", ("host",), "cpu_percent", MINE), warn=90),
    number("Memory available", "bytes", newest("host", ("host",), "memory_available", MINE)),
    rows("How it is read", newest("target", ("source", "host"), "time, source, status, detail, vendor, model, firmware, duration_s",
                                  f"{MINE} AND NOT removed", "source"),
         {"time": SINCE, "status": Column("status", width=110, coloured=True), "duration_s": Column("poll", "s")}),
    rows("Alerts", f"SELECT time, severity, rule, component, transition, text FROM alert WHERE {WITHIN} AND {MINE} ORDER BY time DESC LIMIT 100",
         {"time": SINCE, "severity": Column("severity", width=90, coloured=True)}),
    lines("Temperatures", "celsius", _lines("redfish_temperature", "avg(reading_celsius) AS celsius", "sensor_name")),
    lines("Fans", "none", _lines("redfish_fan", "avg(reading_rpm) AS speed", "sensor_name, reading_units"),
          about="RPM or percent, as the BMC reads each fan."),
    lines("Power", "watt", _lines("power", "avg(consumed_watts) AS consumed, avg(psu_input_watts) AS supplied, avg(available_watts) AS available"),
          about="What the chassis says that it draws; what its supplies take in; what it may draw."),
    lines("Voltages", "volt", _lines("redfish_voltage", "avg(reading_volts) AS volts", "sensor_name")),
    rows("Power supplies", _newest("redfish_power_supply", "sensor_id", "sensor_name, model, power_input_watts, power_output_watts, efficiency_percent, health, state"),
         {"sensor_name": Column("supply"), "power_input_watts": Column("input", "watt"), "power_output_watts": Column("output", "watt"),
          "efficiency_percent": Column("efficiency", "percent"), "health": HEALTH}),
    rows("Drives", newest("redfish_drive", ("system_id", "chassis_id", "storage_id", "drive_id"),
                          "name, model, media_type, capacity_bytes, failure_predicted, health, state", MINE, "name"),
         {"name": Column("drive"), "capacity_bytes": Column("capacity", "bytes"), "health": HEALTH}),
    rows("Memory modules", _newest("redfish_memory", "memory_id", "device_locator, capacity_mib, operating_speed_mhz, temperature_celsius, health, state"),
         {"capacity_mib": Column("capacity", "mbytes"), "temperature_celsius": Column("temperature", "celsius"), "health": HEALTH}),
    rows("Processors", _newest("redfish_processor", "processor_id", "socket, processor_type, model, total_cores, temperature_celsius, consumed_power_watts, health, state"),
         {"temperature_celsius": Column("temperature", "celsius"), "consumed_power_watts": Column("power", "watt"), "health": HEALTH}),
    rows("VMs", newest("vm_metrics", ("uuid",), "name, state, cpu_count, memory_used_kb", MINE, "name"),
         {"name": VM, "cpu_count": Column("CPUs"), "memory_used_kb": Column("memory", "kbytes")}),
    lines("CPU of VMs", "percent", _lines("vm_features", "avg(cputime_rate) / 10000000 AS cpu", "name"), about="Of one core."),
    lines("CPU", "percent", _lines("host", "avg(cpu_percent) AS cpu")),
    lines("Load", "none", _lines("host", "avg(load_1) AS one_minute, avg(load_5) AS five, avg(load_15) AS fifteen")),
    lines("Memory", "bytes", _lines("host", "avg(memory_used) AS used, avg(memory_cached) AS cached, avg(memory_available) AS available")),
    lines("Swap", "bytes", _lines("host", "avg(swap_used) AS used")),
    lines("Disks", "Bps", _lines("host_disk_rates", "avg(read_bytes_rate) AS read, avg(write_bytes_rate) AS written", "device")),
    lines("Network", "Bps", _lines("host_interface_rates", "avg(rxbytes_rate) AS received, avg(txbytes_rate) AS sent", "device")),
    rows("File systems", _newest("host_filesystem", "mountpoint", "mountpoint, fstype, total, used, free"),
         {"total": Column("size", "bytes"), "used": Column("used", "bytes"), "free": Column("free", "bytes")}),
    lines("Errors and drops", "cps", _lines("host_interface_rates", "sum(rxerrors_rate + txerrors_rate) AS errors, sum(rxdrops_rate + txdrops_rate) AS drops", "device")),
), variables=(choice("host", "Host", f"SELECT DISTINCT host FROM target WHERE {WITHIN} ORDER BY host"),))
