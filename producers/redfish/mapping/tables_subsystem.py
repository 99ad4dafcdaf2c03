"""Tables for the schemas that replaced Thermal and Power; they fill the same records. Data only.

A path may continue in a linked resource (`Metrics/…`, `Sensor/…`) that `chassis_resources` puts in place of the link.
"""

from __future__ import annotations

from typing import Final

from producers.redfish.documents import number
from producers.redfish.mapping.table import FieldMapping, ResourceTable, half_load_efficiency
from producers.redfish.mapping.tables import ASSET_FIELDS, PHYSICAL_CONTEXT, STATUS_FIELDS
from schemas.records import RedfishFan, RedfishPowerControl, RedfishPowerSupply, RedfishTemperature, RedfishVoltage

RESOURCE_FIELDS: Final = (
    FieldMapping("odata_id", ("@odata.id",)),
    FieldMapping("sensor_id", ("Id",)),
    FieldMapping("sensor_name", ("Name",)),
)
UPPER_CRITICAL: Final = FieldMapping("upper_threshold_critical", ("Thresholds/UpperCritical/Reading",), number)
UPPER_FATAL: Final = FieldMapping("upper_threshold_fatal", ("Thresholds/UpperFatal/Reading",), number)
LOWER_CRITICAL: Final = FieldMapping("lower_threshold_critical", ("Thresholds/LowerCritical/Reading",), number)
LOWER_FATAL: Final = FieldMapping("lower_threshold_fatal", ("Thresholds/LowerFatal/Reading",), number)
SENSOR_SCHEMA: Final = "Sensor.v1_9_0"

THERMAL_METRICS_TEMPERATURE: Final = ResourceTable(
    RedfishTemperature,
    "temperatures",
    "TemperatureReadingsCelsius",
    "ThermalMetrics.v1_3_0",
    reading_fields=("reading_celsius",),
    link_schemas=(("Sensor", SENSOR_SCHEMA),),
    fields=(
        FieldMapping("odata_id", ("DataSourceUri", "@odata.id")),
        FieldMapping("sensor_id", ("Sensor/Id",)),
        FieldMapping("sensor_name", ("DeviceName", "Sensor/Name")),
        FieldMapping("reading_celsius", ("Reading",), number),
        FieldMapping("upper_threshold_critical", ("Sensor/Thresholds/UpperCritical/Reading",), number),
        FieldMapping("upper_threshold_fatal", ("Sensor/Thresholds/UpperFatal/Reading",), number),
        FieldMapping("lower_threshold_critical", ("Sensor/Thresholds/LowerCritical/Reading",), number),
        FieldMapping("health", ("Sensor/Status/Health",)),
        FieldMapping("state", ("Sensor/Status/State",)),
        FieldMapping("physical_context", ("PhysicalContext", "Sensor/PhysicalContext")),
    ),
)
SENSOR_TEMPERATURE: Final = ResourceTable(
    RedfishTemperature,
    "temperatures",
    "Temperature",
    SENSOR_SCHEMA,
    reading_fields=("reading_celsius",),
    fields=(
        *RESOURCE_FIELDS,
        FieldMapping("reading_celsius", ("Reading",), number, required_unit="Cel"),
        UPPER_CRITICAL,
        UPPER_FATAL,
        LOWER_CRITICAL,
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
SUBSYSTEM_FAN: Final = ResourceTable(
    RedfishFan,
    "fans",
    "Fans",
    "Fan.v1_5_0",
    reading_fields=("speed_rpm", "speed_percent"),
    link_schemas=(("Sensor", SENSOR_SCHEMA),),
    fields=(
        *RESOURCE_FIELDS,
        FieldMapping("speed_rpm", ("SpeedPercent/SpeedRPM",), number),
        # Lenovo also reports the RPM as Reading.
        FieldMapping("speed_percent", ("SpeedPercent/Reading",), number, unless_number_at="SpeedPercent/SpeedRPM"),
        FieldMapping("upper_threshold_critical", ("Sensor/Thresholds/UpperCritical/Reading",), number),
        FieldMapping("lower_threshold_critical", ("Sensor/Thresholds/LowerCritical/Reading",), number),
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
SENSOR_FAN: Final = ResourceTable(
    RedfishFan,
    "fans",
    "Rotational",
    SENSOR_SCHEMA,
    reading_fields=("speed_rpm", "speed_percent"),
    fields=(
        *RESOURCE_FIELDS,
        FieldMapping("speed_rpm", ("Reading",), number, required_unit="RPM"),
        FieldMapping("speed_percent", ("Reading",), number, required_unit="Percent"),
        UPPER_CRITICAL,
        LOWER_CRITICAL,
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
SENSOR_VOLTAGE: Final = ResourceTable(
    RedfishVoltage,
    "voltages",
    "Voltage",
    SENSOR_SCHEMA,
    reading_fields=("reading_volts",),
    fields=(
        *RESOURCE_FIELDS,
        FieldMapping("reading_volts", ("Reading",), number, required_unit="V"),
        UPPER_CRITICAL,
        UPPER_FATAL,
        LOWER_CRITICAL,
        LOWER_FATAL,
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
SUBSYSTEM_POWER_SUPPLY: Final = ResourceTable(
    RedfishPowerSupply,
    "power_supplies",
    "PowerSupplies",
    "PowerSupply.v1_5_0",
    link_schemas=(("Metrics", "PowerSupplyMetrics.v1_1_0"),),
    fields=(
        *RESOURCE_FIELDS,
        FieldMapping("power_capacity_watts", ("PowerCapacityWatts",), number),
        FieldMapping("power_input_watts", ("Metrics/InputPowerWatts/Reading",), number),
        FieldMapping("power_output_watts", ("Metrics/OutputPowerWatts/Reading",), number),
        FieldMapping("efficiency_percent", ("EfficiencyRatings",), half_load_efficiency),
        FieldMapping("line_input_voltage", ("Metrics/InputVoltage/Reading",), number),
        FieldMapping("line_input_voltage_type", ("InputNominalVoltageType",)),
        *ASSET_FIELDS,
        *STATUS_FIELDS,
    ),
)
ENVIRONMENT_METRICS_POWER: Final = ResourceTable(
    RedfishPowerControl,
    "power_controls",
    "Total",
    "EnvironmentMetrics.v1_3_0",
    reading_fields=("power_consumed_watts",),
    link_schemas=(("PowerSubsystem", "PowerSubsystem.v1_1_0"),),
    fields=(
        *RESOURCE_FIELDS,
        FieldMapping("power_consumed_watts", ("PowerWatts/Reading",), number),
        FieldMapping("power_requested_watts", ("PowerSubsystem/Allocation/RequestedWatts",), number),
        FieldMapping("power_available_watts", (), number),  # these schemas have no such property
        FieldMapping("power_capacity_watts", ("PowerSubsystem/CapacityWatts",), number),
        FieldMapping("power_allocated_watts", ("PowerSubsystem/Allocation/AllocatedWatts",), number),
        FieldMapping("power_limit", ("PowerLimitWatts/SetPoint",), number),
        *STATUS_FIELDS,
    ),
)
