"""Prints what a BMC gives: a table per kind of part, then what it cost and what is odd. Pure but for printing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]

STATUS: Final = (("health", "health"), ("state", "state"))
COLUMNS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "systems": (
        ("system_id", "id"),
        ("manufacturer", "manufacturer"),
        ("model", "model"),
        ("serial_number", "serial"),
        ("power_state", "power"),
        ("bios_version", "BIOS"),
        *STATUS,
    ),
    "temperatures": (
        ("chassis_id", "chassis"),
        ("sensor_name", "temperature"),
        ("reading_celsius", "°C"),
        ("upper_threshold_critical", "critical"),
        ("upper_threshold_fatal", "fatal"),
        *STATUS,
    ),
    "fans": (
        ("chassis_id", "chassis"),
        ("sensor_name", "fan"),
        ("speed_rpm", "RPM"),
        ("speed_percent", "%"),
        *STATUS,
    ),
    "power_controls": (
        ("chassis_id", "chassis"),
        ("sensor_name", "power"),
        ("power_consumed_watts", "W"),
        ("power_capacity_watts", "capacity W"),
        ("power_limit", "limit W"),
        *STATUS,
    ),
    "voltages": (("chassis_id", "chassis"), ("sensor_name", "voltage"), ("reading_volts", "V"), *STATUS),
    "power_supplies": (
        ("chassis_id", "chassis"),
        ("sensor_name", "power supply"),
        ("model", "model"),
        ("power_input_watts", "in W"),
        ("power_output_watts", "out W"),
        ("power_capacity_watts", "capacity W"),
        ("line_input_voltage", "line V"),
        *STATUS,
    ),
    "processors": (
        ("system_id", "system"),
        ("processor_id", "processor"),
        ("processor_type", "type"),
        ("model", "model"),
        ("total_cores", "cores"),
        ("temperature_celsius", "°C"),
        ("consumed_power_watts", "W"),
        *STATUS,
    ),
    "dimms": (
        ("system_id", "system"),
        ("memory_id", "DIMM"),
        ("memory_device_type", "type"),
        ("capacity_mib", "MiB"),
        ("operating_speed_mhz", "MHz"),
        ("manufacturer", "manufacturer"),
        ("temperature_celsius", "°C"),
        *STATUS,
    ),
    "interfaces": (
        ("system_id", "system"),
        ("interface_id", "interface"),
        ("name", "name"),
        ("ports", "ports"),
        *STATUS,
    ),
    "storage_controllers": (
        ("storage_id", "storage"),
        ("controller_id", "controller"),
        ("model", "model"),
        ("firmware_version", "firmware"),
        *STATUS,
    ),
    "drives": (
        ("drive_id", "drive"),
        ("model", "model"),
        ("media_type", "media"),
        ("protocol", "protocol"),
        ("capacity_bytes", "GB"),
        ("failure_predicted", "failing"),
        *STATUS,
    ),
}
"""Array → its fields and what they are called here; columns that are empty are left out."""
OWNERS: Final = frozenset({"chassis", "system", "storage"})
"""Columns that become a line above their table where all rows say the same: ids are long, and terminals narrow."""
GB: Final = 1e9


def show(found: Json, console: Console) -> None:
    """Prints it all."""
    for each in (*_head(found), *_categories(found["categories"]), *_costs(found), *_offers(found), *_oddities(found)):
        console.print(each)


def _head(found: Json) -> Iterator[RenderableType]:
    identity, auth = found["identity"], found["auth"]
    yield Text(found["address"], style="bold")
    names = ("vendor", "model", "serial_number", "product", "bmc", "bmc_firmware", "redfish_version")
    expand = found["expand"]
    several = "four at once" if found["several_requests_at_once"] else "one at a time"
    rows = {
        **{name.replace("_", " "): identity[name] for name in names if identity[name]},
        "schemas": found["generation"],
        "login": auth["way"] + (f" ({auth['why_basic']})" if auth["why_basic"] else ""),
        "$expand": ", ".join(f"{name} {value}" for name, value in expand.items()) if expand else "not offered",
        "requests": several,
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        grid.add_row(Text(name, style="dim"), Text(str(value)))
    yield grid


def _categories(categories: Mapping[str, Json]) -> Iterator[RenderableType]:
    for name, each in categories.items():
        yield Text()
        requests = "1 request" if each["requests"] == 1 else f"{each['requests']} requests"
        cost = f"{requests}, {each['seconds']:.2f} s"
        yield Text.assemble((name, "bold cyan"), (f"  {cost}", "dim"))
        if each["failed"]:
            yield Text(each["failed"], style="bold red")
        arrays = [(array, columns) for array, columns in COLUMNS.items() if array in each]
        for array, columns in arrays:
            if each[array]:
                yield from _table(each[array], columns)
        if not each["failed"] and not any(each[array] for array, _ in arrays):
            yield Text("nothing", style="dim")
        for error in each["errors"]:
            yield Text(f"{error['count']} × {error['field']}: {error['cause']}", style="yellow")


def _table(records: Sequence[Json], columns: Sequence[tuple[str, str]]) -> Iterator[RenderableType]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    used = [(field, title) for field, title in columns if any(record.get(field) is not None for record in records)]
    for field, title in [each for each in used if each[1] in OWNERS]:
        if len({record.get(field) for record in records}) == 1:
            yield Text(f"of {title} {records[0][field]}", style="dim")
            used.remove((field, title))
    for field, title in used:
        values = [record.get(field) for record in records]
        numbers = all(isinstance(value, int | float) for value in values if value is not None)
        table.add_column(title, justify="right" if numbers else "left", overflow="fold")
    for record in records:
        table.add_row(*(_cell(field, record.get(field)) for field, _ in used))
    yield table


def _cell(field: str, value: Any) -> Text:
    if value is None:
        return Text("–", style="dim")
    if isinstance(value, bool):
        return Text("yes", style="bold red") if value else Text("no")
    if field == "capacity_bytes":
        return Text(f"{value / GB:.0f}")
    bad = field == "health" and value != "OK"
    return Text(f"{value:g}" if isinstance(value, float) else str(value), style="red" if bad else "")


def _costs(found: Json) -> Iterator[RenderableType]:
    requests = found["requests"]
    yield Text()
    yield Text.assemble(
        ("requests", "bold cyan"),
        f"  {requests['count']} in {requests['seconds']:.2f} s, {requests['mean_s'] * 1000:.0f} ms each",
    )
    for each in requests["slowest"]:
        yield Text(f"  {each['seconds']:8.3f} s  {each['link']}", style="dim", no_wrap=True, overflow="fold")
    for kind, count in requests["faults"].items():
        yield Text(f"  {count} × {kind}", style="yellow")


def _offers(found: Json) -> Iterator[RenderableType]:
    telemetry, events = found["telemetry"], found["events"]
    yield Text()
    yield Text.assemble(("offered, not used", "bold cyan"))
    reports = telemetry["metric_reports"]
    yield Text(f"  metric reports: {', '.join(reports) or 'none'}")
    enabled = {None: "none", True: "enabled", False: "disabled"}.get(events["enabled"], "enabled")
    more = [*map(str, events["formats"]), *(["server-sent"] if events["server_sent"] else [])]
    yield Text(f"  events: {enabled}" + (f" ({', '.join(more)})" if more else ""))


def _oddities(found: Json) -> Iterator[RenderableType]:
    yield Text()
    yield Text.assemble(("quirks", "bold cyan"), "" if found["quirks"] else "  none met")
    for quirk in found["quirks"]:
        yield Text.assemble(f"  {quirk['count']:4d} × {quirk['what']}", (f"  {quirk['example']}", "dim"))
