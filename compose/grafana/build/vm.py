"""One VM: CPU, memory, its NICs and disks."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import HOST, WITHIN, Board, Column, choice, lines, newest, number, over_time, rows

MINE: Final = "name = ${vm:sqlstring}"


def _lines(measurement: str, values: str, by: str = "host", where: str = "true") -> str:
    return over_time(measurement, values, by, f"{MINE} AND {where}")


NICS: Final = "devtype = 'nic'"
DISKS: Final = "devtype = 'disk'"
BOARD: Final = Board("vm", "VM", "One VM. A line for each host that it ran on.", (
    number("State", "string", newest("vm_metrics", ("name",), "state", MINE)),
    number("CPUs", "none", newest("vm_metrics", ("name",), "cpu_count", MINE)),
    number("Memory", "kbytes", newest("vm_metrics", ("name",), "memory_used_kb", MINE)),
    number("CPU", "percent", newest("vm_features", ("name",), "cputime_rate / 10000000 AS cpu", MINE), about="Of one core."),
    number("Power, estimated", "watt", newest("vm_power", ("name",), "estimated_watts", MINE),
           about="Its share of the host's watts by CPU time."),
    rows("Where it ran", newest("vm_metrics", ("host", "uuid"), "time, host, uuid, state", MINE, "time DESC"), {"host": HOST}, width=4, height=4),
    lines("CPU", "percent", _lines("vm_features", "avg(cputime_rate) / 10000000 AS total, avg(timeusr_rate) / 10000000 AS in_user_mode, avg(timesys_rate) / 10000000 AS in_kernel"),
          about="Of one core: a VM of four can reach 400 %."),
    lines("Memory", "kbytes", _lines("vm_totals", "avg(memactual) AS balloon, avg(memrss) AS resident, avg(memusable) AS usable, avg(memdisk_cache) AS disk_cache")),
    lines("Network, per NIC", "Bps", _lines("vm_device_rates", "avg(rxbytes_rate) AS received, avg(txbytes_rate) AS sent", "device", NICS)),
    lines("Packets, per NIC", "pps", _lines("vm_device_rates", "avg(rxpackets_rate) AS received, avg(txpackets_rate) AS sent", "device", NICS)),
    lines("Disk, per disk", "Bps", _lines("vm_device_rates", "avg(rd_bytes_rate) AS read, avg(wr_bytes_rate) AS written", "device", DISKS)),
    lines("Requests, per disk", "iops", _lines("vm_device_rates", "avg(rd_req_rate) AS read, avg(wr_reqs_rate) AS written", "device", DISKS)),
    lines("Network errors and drops", "cps", _lines("vm_features", "avg(net_rxerrors_rate + net_txerrors_rate) AS errors, avg(net_rxdrops_rate + net_txdrops_rate) AS drops")),
    lines("Swap and page faults", "cps", _lines("vm_features", "avg(memswap_in_rate) AS swapped_in, avg(memswap_out_rate) AS swapped_out, avg(memmajor_fault_rate) AS major_faults")),
    lines("Angles", "degree", _lines("vm_features", "avg(memory_angle_deg) AS memory, avg(net_rxbytes_angle) AS received, avg(net_txbytes_angle) AS sent, avg(disk_rd_bytes_angle) AS read, avg(disk_wr_bytes_angle) AS written"),
          about="atan of the rate: 90 degrees is a steep rise, below 0 a fall."),
    lines("Power, estimated", "watt", _lines("vm_power", "avg(estimated_watts) AS watts")),
    rows("Counters of its devices", newest("vm_devices", ("uuid", "devtype", "device"), "devtype, device, rxbytes, txbytes, rxerrors, txerrors, rxdrops, txdrops, rd_bytes, wr_bytes, errors", MINE, "devtype, device"),
         {name: Column(title, "bytes") for name, title in {"rxbytes": "received", "txbytes": "sent", "rd_bytes": "read", "wr_bytes": "written"}.items()}, width=24),
), variables=(choice("vm", "VM", f"SELECT DISTINCT name FROM vm_metrics WHERE {WITHIN} ORDER BY name"),))
