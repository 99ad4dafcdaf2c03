"""VM dashboard: CPU, memory, NICs and disks of one VM."""

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
    query_variable,
    time_series,
)

THIS_VM: Final = "name = ${vm:sqlstring}"


def _time_series(measurement: str, values: str, by: str = "host", where: str = "true") -> str:
    return time_series(measurement, values, by, f"{THIS_VM} AND {where}")


NICS: Final = "devtype = 'nic'"
DISKS: Final = "devtype = 'disk'"
BOARD: Final = Dashboard("vm", "VM", "One VM, with a line per host on which it ran.", (
    influx_stat("State", "string", latest_rows("vm_metrics", ("name",), "state", THIS_VM)),
    influx_stat("CPUs", "none", latest_rows("vm_metrics", ("name",), "cpu_count", THIS_VM)),
    influx_stat("Memory", "kbytes", latest_rows("vm_metrics", ("name",), "memory_used_kb", THIS_VM)),
    influx_stat("CPU", "percent", latest_rows("vm_features", ("name",), "cputime_rate / 10000000 AS cpu", THIS_VM), about="Percent of one core."),
    influx_stat("Power, estimated", "watt", latest_rows("vm_power", ("name",), "estimated_watts", THIS_VM),
           about="Its share of the host's power by CPU time."),
    influx_table("Hosts", latest_rows("vm_metrics", ("host", "uuid"), "time, host, uuid, state", THIS_VM, "time DESC"), {"host": HOST_COLUMN}, width=4, height=4),
    influx_graph("CPU", "percent", _time_series("vm_features", "avg(cputime_rate) / 10000000 AS total, avg(timeusr_rate) / 10000000 AS in_user_mode, avg(timesys_rate) / 10000000 AS in_kernel"),
          about="Percent of one core: a VM with four CPUs can reach 400 %."),
    influx_graph("Memory", "kbytes", _time_series("vm_totals", "avg(memactual) AS balloon, avg(memrss) AS resident, avg(memusable) AS usable, avg(memdisk_cache) AS disk_cache")),
    influx_graph("Network, per NIC", "Bps", _time_series("vm_device_rates", "avg(rxbytes_rate) AS received, avg(txbytes_rate) AS sent", "device", NICS)),
    influx_graph("Packets, per NIC", "pps", _time_series("vm_device_rates", "avg(rxpackets_rate) AS received, avg(txpackets_rate) AS sent", "device", NICS)),
    influx_graph("Disk, per disk", "Bps", _time_series("vm_device_rates", "avg(rd_bytes_rate) AS read, avg(wr_bytes_rate) AS written", "device", DISKS)),
    influx_graph("Requests, per disk", "iops", _time_series("vm_device_rates", "avg(rd_req_rate) AS read, avg(wr_reqs_rate) AS written", "device", DISKS)),
    influx_graph("Network errors and drops", "cps", _time_series("vm_features", "avg(net_rxerrors_rate + net_txerrors_rate) AS errors, avg(net_rxdrops_rate + net_txdrops_rate) AS drops")),
    influx_graph("Swap and page faults", "cps", _time_series("vm_features", "avg(memswap_in_rate) AS swapped_in, avg(memswap_out_rate) AS swapped_out, avg(memmajor_fault_rate) AS major_faults")),
    influx_graph("Angles", "degree", _time_series("vm_features", "avg(memory_angle_deg) AS memory, avg(net_rxbytes_angle) AS received, avg(net_txbytes_angle) AS sent, avg(disk_rd_bytes_angle) AS read, avg(disk_wr_bytes_angle) AS written"),
          about="atan of the rate: 90 degrees is a steep rise, negative values a fall."),
    influx_graph("Power, estimated", "watt", _time_series("vm_power", "avg(estimated_watts) AS watts")),
    influx_table("Device counters", latest_rows("vm_devices", ("uuid", "devtype", "device"), "devtype, device, rxbytes, txbytes, rxerrors, txerrors, rxdrops, txdrops, rd_bytes, wr_bytes, errors", THIS_VM, "devtype, device"),
         {name: Column(title, "bytes") for name, title in {"rxbytes": "received", "txbytes": "sent", "rd_bytes": "read", "wr_bytes": "written"}.items()}, width=24),
), variables=(query_variable("vm", "VM", f"SELECT DISTINCT name FROM vm_metrics WHERE {TIME_FILTER} ORDER BY name"),))
