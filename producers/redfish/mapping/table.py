"""Maps Redfish resources to records, as described by tables. Pure and total: no I/O, nothing raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from producers.redfish.documents import (
    STATES_WITHOUT_READING,
    Json,
    JsonObject,
    boolean,
    integer,
    number,
    objects,
    text,
    value_at,
)
from schemas.records import (
    RedfishDimm,
    RedfishDrive,
    RedfishFan,
    RedfishInterface,
    RedfishPowerControl,
    RedfishPowerSupply,
    RedfishProcessor,
    RedfishStorageController,
    RedfishSystem,
    RedfishTemperature,
    RedfishVoltage,
)

if TYPE_CHECKING:
    from producers.reader import Problems

RedfishRecord = (
    RedfishSystem
    | RedfishTemperature
    | RedfishFan
    | RedfishPowerControl
    | RedfishVoltage
    | RedfishPowerSupply
    | RedfishProcessor
    | RedfishDimm
    | RedfishInterface
    | RedfishStorageController
    | RedfishDrive
)
"""An entry of one of the arrays of `RedfishSample`."""
RecordT_co = TypeVar("RecordT_co", bound=Mapping[str, object], covariant=True)
ValueParser = Callable[[Json], Json]
"""Value of a property → value of the field; None if it cannot be used. Never raises."""

HALF_LOAD_PERCENT: Final = 50
MAX_UNIT_CHARACTERS: Final = 20
STATES_WHERE_ZERO_IS_INVALID: Final = frozenset({"disabled"})
"""Values of Status.State for which 0 is no reading: Intel's disabled sensors read 0, but a disabled PowerControl
has watts."""
UNIT_SPELLINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("rpm", "{rev}/min"), "RPM"),  # the second is what newer versions of Sensor prefer
    **dict.fromkeys(("percent", "%"), "Percent"),
    **dict.fromkeys(("cel", "c", "celsius"), "Cel"),
    **dict.fromkeys(("v", "volts"), "V"),
}
"""Spelling of ReadingUnits in lower case → the unit that tables use."""


def led_state(value: Json) -> str | None:
    """Returns an LED's state; LocationIndicatorActive, which replaced IndicatorLED, is a boolean."""
    return ("Lit" if value else "Off") if isinstance(value, bool) else text(value)


def text_list(value: Json) -> list[str] | None:
    """Returns the texts of a list; other items are dropped."""
    return [item for item in map(text, value) if item is not None] if isinstance(value, list) else None


def integer_list(value: Json) -> list[int] | None:
    """Returns the whole numbers of a list; other items are dropped."""
    return [item for item in map(integer, value) if item is not None] if isinstance(value, list) else None


def half_load_efficiency(value: Json) -> float | None:
    """Returns the percentage of EfficiencyRatings at half load, where efficiency classes peak, else the first one."""
    ratings = sorted(objects(value), key=lambda rating: number(rating.get("LoadPercent")) != HALF_LOAD_PERCENT)
    percentages = (number(rating.get("EfficiencyPercent")) for rating in ratings)
    return next((percent for percent in percentages if percent is not None), None)


def port_count(value: Json) -> int | None:
    """Returns the ports of a NetworkAdapter, from its Controllers or from a collection of ports."""
    if isinstance(value, dict):
        members = value.get("Members")
        sizes = map(integer, (value.get("Members@odata.count"), len(members) if isinstance(members, list) else None))
        return next((size for size in sizes if size is not None and size >= 0), None)
    counts = (integer(value_at(controller, "ControllerCapabilities/NetworkPortCount")) for controller in objects(value))
    usable = [count for count in counts if count is not None and count >= 0]  # Lenovo: -1 for an InfiniBand card
    return integer(sum(usable)) if usable else None


MISMATCH_CAUSES: Final[Mapping[ValueParser, str]] = {
    text: "not text",
    number: "not a number",
    integer: "not a whole number",
    boolean: "not true or false",
    led_state: "not text",
    text_list: "not a list",
    integer_list: "not a list",
    half_load_efficiency: "not a list",
}
"""Parser → cause that is counted for a value it cannot use."""


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A field of a record, and the Redfish property it is read from."""

    name: str
    """Field of the record."""
    paths: tuple[str, ...]
    """Paths of the property, names separated by slashes; the first usable value counts."""
    parse: ValueParser = text
    required_unit: str = ""
    """The field is null if ReadingUnits names another unit."""
    path_with_unit: str = ""
    """A path whose name implies the unit; read first, and regardless of ReadingUnits."""
    unless_number_at: str = ""
    """The field is null if there is a number at this path."""


@dataclass(frozen=True)
class ResourceTable(Generic[RecordT_co]):
    """An array, or an object, of a resource that becomes records of one type."""

    record_type: type[RecordT_co]
    """Type of the records, whose fields are those of the table and the ids of chassis, system and storage."""
    record_field: str
    """Array of `RedfishSample`; for a nested table the field of the record around it."""
    property_path: str
    """Property that holds the array, or path of the object; empty for the resource itself."""
    schema: str
    """DMTF schema that the table follows."""
    fields: tuple[FieldMapping, ...]
    id_field: str = "sensor_id"
    """Field that is filled with the position in the array if the BMC gives no id."""
    reading_fields: tuple[str, ...] = ()
    """Fields of which at least one should be set; a part that is present without any is counted as a problem."""
    nested: tuple[ResourceTable[Mapping[str, object]], ...] = ()
    """Objects inside it that become records of their own."""
    link_schemas: tuple[tuple[str, str], ...] = ()
    """(Start of a path that continues in a linked resource, DMTF schema of that resource)."""


def map_array(table: ResourceTable[RecordT_co], resource: JsonObject, problems: Problems) -> Iterator[RecordT_co]:
    """Yields the records of an array of a resource, in its order, without the ids of chassis, system and storage.

    Entries that are not objects count as problems.
    """
    entries = resource.get(table.property_path)
    if entries is None:
        return
    if not isinstance(entries, list):
        problems.add(table.record_field, "not an array")
        return
    for position, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield map_object(table, entry, problems, default_id=str(position))
        else:
            problems.add(table.record_field, "entry is not an object")


def map_object(
    table: ResourceTable[RecordT_co],
    entry: JsonObject,
    problems: Problems,
    *,
    default_id: str = "",
    parent_state: str = "",
) -> RecordT_co:
    """Returns the record of one object, without the ids of chassis, system and storage.

    Args:
        table: Mapping to apply.
        entry: The object.
        problems: Counts unusable values.
        default_id: Id of an object that has none of its own.
        parent_state: State of the object around it, for an object that has none of its own.
    """
    status = entry.get("Status")
    if status is not None and not isinstance(status, dict):
        problems.add(f"{table.record_field}.status", "not an object")
    state = (text(value_at(entry, "Status/State")) or parent_state).casefold()
    record: dict[str, Json] = {}
    reading_causes: dict[str, str] = {}
    for field in table.fields:
        value, cause = _field_value(field, entry)
        if not isinstance(value, str) and _is_meaningless(value, state):
            value = None
        elif cause and field.name in table.reading_fields:
            reading_causes[field.name] = cause
        elif cause and cause != "null":  # an optional property may be null; only a missing reading is a problem
            problems.add(f"{table.record_field}.{field.name}", cause)
        record[field.name] = value
    if table.reading_fields and state not in STATES_WITHOUT_READING | STATES_WHERE_ZERO_IS_INVALID:
        _count_missing_reading(table, record, reading_causes, problems)
    if table.id_field in record and record[table.id_field] is None:
        record[table.id_field] = default_id
    for nested_table in table.nested:
        inner = value_at(entry, nested_table.property_path)
        inner_object = inner if isinstance(inner, dict) else {}
        record[nested_table.record_field] = map_object(nested_table, inner_object, problems, parent_state=state)
    return cast("RecordT_co", record)


def _is_meaningless(value: Json, state: str) -> bool:
    return state in STATES_WITHOUT_READING or (state in STATES_WHERE_ZERO_IS_INVALID and value == 0)


def _count_missing_reading(
    table: ResourceTable[RecordT_co], record: JsonObject, causes: Mapping[str, str], problems: Problems
) -> None:
    """Counts a part that is present without any reading, once and with its most specific cause."""
    if all(record[name] is None for name in table.reading_fields):
        name, cause = next(iter(causes.items()), (table.reading_fields[0], "missing"))
        problems.add(f"{table.record_field}.{name}", cause)


def _field_value(field: FieldMapping, entry: JsonObject) -> tuple[Json, str]:
    """Returns a field's value, or None and the cause; the cause is empty if the property is missing."""
    if field.unless_number_at and number(value_at(entry, field.unless_number_at)) is not None:
        return None, ""
    if field.path_with_unit and (value := field.parse(value_at(entry, field.path_with_unit))) is not None:
        return value, ""
    if field.required_unit:
        spelling = text(entry.get("ReadingUnits", entry.get("Units"))) or "none"  # Units: iLO 4
        unit = UNIT_SPELLINGS.get(spelling.casefold())
        if unit is None:
            return None, f"unit {spelling[:MAX_UNIT_CHARACTERS]} is unknown"
        if unit != field.required_unit:
            return None, ""
    cause = ""
    for path in field.paths:
        raw_value = value_at(entry, path)
        value = field.parse(raw_value)
        if value is not None:
            return value, ""
        if raw_value is None:
            cause = cause or ("null" if _has_property(entry, path) else "")
        elif not (field.parse is text and isinstance(raw_value, str)):  # blank text is missing, not wrong
            cause = MISMATCH_CAUSES.get(field.parse, "")
    return None, cause


def _has_property(entry: JsonObject, path: str) -> bool:
    parent_path, _, name = path.rpartition("/")
    parent = value_at(entry, parent_path) if parent_path else entry
    return isinstance(parent, dict) and name in parent
