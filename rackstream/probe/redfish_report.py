"""Prints the result of probing a BMC: a table per kind of component, the cost, and quirks.

Pure except for printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from producers.redfish.documents import JsonObject
    from rackstream.probe.redfish import CategoryProbe, RedfishProbe

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
"""Array → its fields and their column titles; empty columns are left out."""
OWNER_COLUMNS: Final = frozenset({"chassis", "system", "storage"})
"""Columns that become a line above their table if all rows have the same value: ids are long, terminals narrow."""
GB: Final = 1e9


def show(result: RedfishProbe, console: Console) -> None:
    """Prints a result as tables."""
    sections = (_head(result), _categories(result["categories"]), _cost(result), _unused(result), _quirks(result))
    for section in sections:
        for line in section:
            console.print(line)


def _head(result: RedfishProbe) -> Iterator[RenderableType]:
    identity: Mapping[str, object] = result["identity"]
    auth, expand = result["auth"], result["expand"]
    yield Text(result["address"], style="bold")
    names = ("vendor", "model", "serial_number", "product", "bmc", "bmc_firmware", "redfish_version")
    rows = {
        **{name.replace("_", " "): identity[name] for name in names if identity[name]},
        "schemas": result["generation"],
        "login": f"{auth['way']}" + (f" ({auth['why_basic']})" if auth["why_basic"] else ""),
        "$expand": ", ".join(f"{name} {value}" for name, value in expand.items()) if expand else "not offered",
        "requests": "four at once" if result["several_requests_at_once"] else "one at a time",
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        grid.add_row(Text(name, style="dim"), Text(str(value)))
    yield grid


def _categories(categories: Mapping[str, CategoryProbe]) -> Iterator[RenderableType]:
    for name, category in categories.items():
        yield Text()
        requests = "1 request" if category["requests"] == 1 else f"{category['requests']} requests"
        yield Text.assemble((name, "bold cyan"), (f"  {requests}, {category['seconds']:.2f} s", "dim"))
        if category["failed"]:
            yield Text(category["failed"], style="bold red")
        arrays = [(array, columns) for array, columns in COLUMNS.items() if array in category]
        for array, columns in arrays:
            if category[array]:
                yield from _table(category[array], columns)
        if not category["failed"] and not any(category[array] for array, _ in arrays):
            yield Text("nothing", style="dim")
        for error in category["errors"]:
            yield Text(f"{error['count']} × {error['field']}: {error['cause']}", style="yellow")


def _table(readings: Sequence[JsonObject], columns: Sequence[tuple[str, str]]) -> Iterator[RenderableType]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    used = [(field, title) for field, title in columns if any(reading.get(field) is not None for reading in readings)]
    for field, title in [column for column in used if column[1] in OWNER_COLUMNS]:
        if len({reading.get(field) for reading in readings}) == 1:
            yield Text(f"of {title} {readings[0][field]}", style="dim")
            used.remove((field, title))
    for field, title in used:
        values = [reading.get(field) for reading in readings]
        numbers = all(isinstance(value, int | float) for value in values if value is not None)
        table.add_column(title, justify="right" if numbers else "left", overflow="fold")
    for reading in readings:
        table.add_row(*(_cell(field, reading.get(field)) for field, _ in used))
    yield table


def _cell(field: str, value: object) -> Text:
    if value is None:
        return Text("–", style="dim")
    if isinstance(value, bool):
        return Text("yes", style="bold red") if value else Text("no")
    if field == "capacity_bytes" and isinstance(value, int | float):
        return Text(f"{value / GB:.0f}")
    bad = field == "health" and value != "OK"
    return Text(f"{value:g}" if isinstance(value, float) else str(value), style="red" if bad else "")


def _cost(result: RedfishProbe) -> Iterator[RenderableType]:
    requests = result["requests"]
    yield Text()
    yield Text.assemble(
        ("requests", "bold cyan"),
        f"  {requests['count']} in {requests['seconds']:.2f} s, {requests['mean_s'] * 1000:.0f} ms each",
    )
    for request in requests["slowest"]:
        yield Text(f"  {request['seconds']:8.3f} s  {request['link']}", style="dim", no_wrap=True, overflow="fold")
    for error, count in requests["faults"].items():
        yield Text(f"  {count} × {error}", style="yellow")


def _unused(result: RedfishProbe) -> Iterator[RenderableType]:
    telemetry, events = result["telemetry"], result["events"]
    yield Text()
    yield Text.assemble(("offered, not used", "bold cyan"))
    yield Text(f"  metric reports: {', '.join(telemetry['metric_reports']) or 'none'}")
    enabled = {None: "none", True: "enabled", False: "disabled"}.get(events["enabled"], "enabled")
    formats = [*map(str, events["formats"]), *(["server-sent"] if events["server_sent"] else [])]
    yield Text(f"  events: {enabled}" + (f" ({', '.join(formats)})" if formats else ""))


def _quirks(result: RedfishProbe) -> Iterator[RenderableType]:
    yield Text()
    yield Text.assemble(("quirks", "bold cyan"), "" if result["quirks"] else "  none")
    for quirk in result["quirks"]:
        yield Text.assemble(f"  {quirk['count']:4d} × {quirk['what']}", (f"  {quirk['example']}", "dim"))
