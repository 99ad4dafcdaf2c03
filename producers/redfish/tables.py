"""Redfish as tables: one per resource array, one line per property. Data only.

A vendor's spelling is a further path of the same line. Result: the records of RedfishSample.avsc, but for `chassis_id`.
"""

from __future__ import annotations

from typing import Final

from producers.redfish.fields import Field, Table, number, whole

ENTRY: Final = (
    Field("odata_id", ("@odata.id",)),
    Field("sensor_id", ("MemberId",)),
    Field("sensor_name", ("Name", "FanName")),  # FanName: iLO 4
)
STATUS: Final = (Field("health", ("Status/Health",)), Field("state", ("Status/State",)))
CONTEXT: Final = Field("physical_context", ("PhysicalContext",))

TEMPERATURE: Final = Table("temperatures", "Temperatures", "Thermal.v1_7_1", reading=("reading_celsius",), fields=(
    *ENTRY,
    Field("reading_celsius", ("ReadingCelsius", "CurrentReading"), number),  # CurrentReading: iLO 4
    Field("upper_threshold_critical", ("UpperThresholdCritical",), number),
    Field("upper_threshold_fatal", ("UpperThresholdFatal",), number),
    Field("lower_threshold_critical", ("LowerThresholdCritical",), number),
    *STATUS,
    CONTEXT,
))  # fmt: skip
FAN: Final = Table("fans", "Fans", "Thermal.v1_7_1", reading=("speed_rpm", "speed_percent"), fields=(
    *ENTRY,
    Field("speed_rpm", ("Reading", "CurrentReading"), number, unit_is="RPM"),
    Field("speed_percent", ("Reading", "CurrentReading"), number, unit_is="Percent"),  # all HPE
    Field("upper_threshold_critical", ("UpperThresholdCritical",), number),
    Field("lower_threshold_critical", ("LowerThresholdCritical",), number),
    *STATUS,
    CONTEXT,
))  # fmt: skip
POWER_CONTROL: Final = Table(
    "power_controls", "PowerControl", "Power.v1_7_1", reading=("power_consumed_watts",), fields=(
    *ENTRY,
    Field("power_consumed_watts", ("PowerConsumedWatts",), number),
    Field("power_requested_watts", ("PowerRequestedWatts",), number),
    Field("power_available_watts", ("PowerAvailableWatts",), number),
    Field("power_capacity_watts", ("PowerCapacityWatts",), number),
    Field("power_allocated_watts", ("PowerAllocatedWatts",), number),
    Field("power_limit", ("PowerLimit/LimitInWatts",), number),
    *STATUS,
))  # fmt: skip
VOLTAGE: Final = Table("voltages", "Voltages", "Power.v1_7_1", reading=("reading_volts",), fields=(
    *ENTRY,
    Field("reading_volts", ("ReadingVolts",), number),
    Field("upper_threshold_critical", ("UpperThresholdCritical",), number),
    Field("upper_threshold_fatal", ("UpperThresholdFatal",), number),
    Field("lower_threshold_critical", ("LowerThresholdCritical",), number),
    Field("lower_threshold_fatal", ("LowerThresholdFatal",), number),
    *STATUS,
    CONTEXT,
))  # fmt: skip
POWER_SUPPLY: Final = Table("power_supplies", "PowerSupplies", "Power.v1_7_1", fields=(
    *ENTRY,
    Field("power_capacity_watts", ("PowerCapacityWatts",), number),
    Field("power_input_watts", ("PowerInputWatts",), number),
    Field("power_output_watts", ("PowerOutputWatts", "LastPowerOutputWatts"), number),  # HPE, Cisco: Last… only
    Field("efficiency_percent", ("EfficiencyPercent",), number),
    Field("line_input_voltage", ("LineInputVoltage",), number),
    Field("line_input_voltage_type", ("LineInputVoltageType",)),
    Field("model", ("Model",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("serial_number", ("SerialNumber",)),
    Field("part_number", ("PartNumber",)),
    Field("firmware_version", ("FirmwareVersion",)),
    *STATUS,
))  # fmt: skip

SUMMARY_STATUS: Final = (Field("status_health", ("Status/Health",)), Field("status_state", ("Status/State",)))
BOOT: Final = Table("boot_source", "Boot", "ComputerSystem.v1_20_0", fields=(
    Field("boot_source_override_enabled", ("BootSourceOverrideEnabled",)),
    Field("boot_source_override_target", ("BootSourceOverrideTarget",)),
    Field("boot_source_override_mode", ("BootSourceOverrideMode",)),
    Field("uefi_target_boot_source_override", ("UefiTargetBootSourceOverride",)),
))  # fmt: skip
PROCESSORS: Final = Table("processor_summary", "ProcessorSummary", "ComputerSystem.v1_20_0", fields=(
    Field("count", ("Count",), whole),
    Field("model", ("Model",)),
    *SUMMARY_STATUS,
))  # fmt: skip
MEMORY: Final = Table("memory_summary", "MemorySummary", "ComputerSystem.v1_20_0", fields=(
    Field("total_system_memory_gib", ("TotalSystemMemoryGiB",), number),
    *SUMMARY_STATUS,
))  # fmt: skip
SYSTEM: Final = Table(
    "systems", "", "ComputerSystem.v1_20_0", identity="system_id", parts=(BOOT, PROCESSORS, MEMORY), fields=(
    Field("system_id", ("Id",)),
    Field("odata_id", ("@odata.id",)),
    Field("power_state", ("PowerState",)),
    *STATUS,
    Field("bios_version", ("BiosVersion",)),
    Field("model", ("Model",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("serial_number", ("SerialNumber",)),
    Field("part_number", ("PartNumber",)),
    Field("uuid", ("UUID",)),
))  # fmt: skip
