"""Redfish as tables: the resources that replaced Thermal and Power, for the same records. Data only.

A path goes on through a link (`Metrics/…`, `Sensor/…`) where `sides` reads what is linked.
"""

from __future__ import annotations

from typing import Final

from producers.redfish.mapping.table import Field, Table, number, rating
from producers.redfish.mapping.tables import CONTEXT, MADE, STATUS

ITSELF: Final = (
    Field("odata_id", ("@odata.id",)),
    Field("sensor_id", ("Id",)),
    Field("sensor_name", ("Name",)),
)
UPPER_CRITICAL: Final = Field("upper_threshold_critical", ("Thresholds/UpperCritical/Reading",), number)
UPPER_FATAL: Final = Field("upper_threshold_fatal", ("Thresholds/UpperFatal/Reading",), number)
LOWER_CRITICAL: Final = Field("lower_threshold_critical", ("Thresholds/LowerCritical/Reading",), number)
LOWER_FATAL: Final = Field("lower_threshold_fatal", ("Thresholds/LowerFatal/Reading",), number)
SENSOR: Final = "Sensor.v1_9_0"

METRIC: Final = Table(
    "temperatures", "TemperatureReadingsCelsius", "ThermalMetrics.v1_3_0", reading=("reading_celsius",),
    linked=(("Sensor", SENSOR),), fields=(
    Field("odata_id", ("DataSourceUri", "@odata.id")),
    Field("sensor_id", ("Sensor/Id",)),
    Field("sensor_name", ("DeviceName", "Sensor/Name")),
    Field("reading_celsius", ("Reading",), number),
    Field("upper_threshold_critical", ("Sensor/Thresholds/UpperCritical/Reading",), number),
    Field("upper_threshold_fatal", ("Sensor/Thresholds/UpperFatal/Reading",), number),
    Field("lower_threshold_critical", ("Sensor/Thresholds/LowerCritical/Reading",), number),
    Field("health", ("Sensor/Status/Health",)),
    Field("state", ("Sensor/Status/State",)),
    Field("physical_context", ("PhysicalContext", "Sensor/PhysicalContext")),
))  # fmt: skip
SENSOR_TEMPERATURE: Final = Table("temperatures", "Temperature", SENSOR, reading=("reading_celsius",), fields=(
    *ITSELF,
    Field("reading_celsius", ("Reading",), number, unit_is="Cel"),
    UPPER_CRITICAL,
    UPPER_FATAL,
    LOWER_CRITICAL,
    *STATUS,
    CONTEXT,
))  # fmt: skip
NEW_FAN: Final = Table("fans", "Fans", "Fan.v1_5_0", reading=("speed_rpm", "speed_percent"), fields=(
    *ITSELF,
    Field("speed_rpm", ("SpeedPercent/SpeedRPM",), number),
    # Lenovo gives the RPM as Reading too.
    Field("speed_percent", ("SpeedPercent/Reading",), number, unless="SpeedPercent/SpeedRPM"),
    Field("upper_threshold_critical", ("Sensor/Thresholds/UpperCritical/Reading",), number),
    Field("lower_threshold_critical", ("Sensor/Thresholds/LowerCritical/Reading",), number),
    *STATUS,
    CONTEXT,
), linked=(("Sensor", SENSOR),))  # fmt: skip
SENSOR_FAN: Final = Table("fans", "Rotational", SENSOR, reading=("speed_rpm", "speed_percent"), fields=(
    *ITSELF,
    Field("speed_rpm", ("Reading",), number, unit_is="RPM"),
    Field("speed_percent", ("Reading",), number, unit_is="Percent"),
    UPPER_CRITICAL,
    LOWER_CRITICAL,
    *STATUS,
    CONTEXT,
))  # fmt: skip
SENSOR_VOLTAGE: Final = Table("voltages", "Voltage", SENSOR, reading=("reading_volts",), fields=(
    *ITSELF,
    Field("reading_volts", ("Reading",), number, unit_is="V"),
    UPPER_CRITICAL,
    UPPER_FATAL,
    LOWER_CRITICAL,
    LOWER_FATAL,
    *STATUS,
    CONTEXT,
))  # fmt: skip
SUPPLY: Final = Table(
    "power_supplies", "PowerSupplies", "PowerSupply.v1_5_0",
    linked=(("Metrics", "PowerSupplyMetrics.v1_1_0"),), fields=(
    *ITSELF,
    Field("power_capacity_watts", ("PowerCapacityWatts",), number),
    Field("power_input_watts", ("Metrics/InputPowerWatts/Reading",), number),
    Field("power_output_watts", ("Metrics/OutputPowerWatts/Reading",), number),
    Field("efficiency_percent", ("EfficiencyRatings",), rating),
    Field("line_input_voltage", ("Metrics/InputVoltage/Reading",), number),
    Field("line_input_voltage_type", ("InputNominalVoltageType",)),
    *MADE,
    *STATUS,
))  # fmt: skip
CHASSIS_POWER: Final = Table(
    "power_controls", "Total", "EnvironmentMetrics.v1_3_0", reading=("power_consumed_watts",),
    linked=(("PowerSubsystem", "PowerSubsystem.v1_1_0"),), fields=(
    *ITSELF,
    Field("power_consumed_watts", ("PowerWatts/Reading",), number),
    Field("power_requested_watts", ("PowerSubsystem/Allocation/RequestedWatts",), number),
    Field("power_available_watts", (), number),  # nothing of the kind in the new schemas
    Field("power_capacity_watts", ("PowerSubsystem/CapacityWatts",), number),
    Field("power_allocated_watts", ("PowerSubsystem/Allocation/AllocatedWatts",), number),
    Field("power_limit", ("PowerLimitWatts/SetPoint",), number),
    *STATUS,
))  # fmt: skip
