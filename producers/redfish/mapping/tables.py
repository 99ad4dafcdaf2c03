"""Redfish as tables: one per resource array, one line per property. Data only.

A vendor's spelling is a further path of the same line. A path goes on through a link (`Metrics/…`) where `inventory`
reads what is linked. Result: the records of RedfishSample.avsc, but for `chassis_id`, `system_id` and `storage_id`.
What replaced Thermal and Power is in `tables_new`: other properties, the same fields.
"""

from __future__ import annotations

from typing import Final

from producers.redfish.mapping.table import Field, Table, flag, led, number, port_count, texts, whole, wholes

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
    # ReadingRPM: old services.
    Field("speed_rpm", ("Reading", "CurrentReading"), number, unit_is="RPM", says_unit="ReadingRPM"),
    Field("speed_percent", ("Reading", "CurrentReading"), number, unit_is="Percent", unless="ReadingRPM"),  # all HPE
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
MADE: Final = (
    Field("model", ("Model",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("serial_number", ("SerialNumber",)),
    Field("part_number", ("PartNumber",)),
    Field("firmware_version", ("FirmwareVersion",)),
)
"""What a power supply says of its make, in both schemas."""
POWER_SUPPLY: Final = Table("power_supplies", "PowerSupplies", "Power.v1_7_1", fields=(
    *ENTRY,
    Field("power_capacity_watts", ("PowerCapacityWatts",), number),
    Field("power_input_watts", ("PowerInputWatts",), number),
    Field("power_output_watts", ("PowerOutputWatts", "LastPowerOutputWatts"), number),  # HPE, Cisco: Last… only
    Field("efficiency_percent", ("EfficiencyPercent",), number),
    Field("line_input_voltage", ("LineInputVoltage",), number),
    Field("line_input_voltage_type", ("LineInputVoltageType",)),
    *MADE,
    *STATUS,
))  # fmt: skip

SUMMARY_STATUS: Final = (Field("status_health", ("Status/Health",)), Field("status_state", ("Status/State",)))
BOOT: Final = Table("boot_source", "Boot", "ComputerSystem.v1_20_0", fields=(
    Field("boot_source_override_enabled", ("BootSourceOverrideEnabled",)),
    Field("boot_source_override_target", ("BootSourceOverrideTarget",)),
    Field("boot_source_override_mode", ("BootSourceOverrideMode",)),
    Field("uefi_target_boot_source_override", ("UefiTargetBootSourceOverride",)),
))  # fmt: skip
PROCESSOR_SUMMARY: Final = Table("processor_summary", "ProcessorSummary", "ComputerSystem.v1_20_0", fields=(
    Field("count", ("Count",), whole),
    Field("model", ("Model",)),
    *SUMMARY_STATUS,
))  # fmt: skip
MEMORY_SUMMARY: Final = Table("memory_summary", "MemorySummary", "ComputerSystem.v1_20_0", fields=(
    Field("total_system_memory_gib", ("TotalSystemMemoryGiB",), number),
    *SUMMARY_STATUS,
))  # fmt: skip
SYSTEM: Final = Table(
    "systems", "", "ComputerSystem.v1_20_0", identity="system_id",
    parts=(BOOT, PROCESSOR_SUMMARY, MEMORY_SUMMARY), fields=(
    Field("system_id", ("Id",)),
    Field("odata_id", ("@odata.id",)),
    Field("power_state", ("PowerState",)),
    Field("system_type", ("SystemType",)),
    *STATUS,
    Field("bios_version", ("BiosVersion",)),
    Field("model", ("Model",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("serial_number", ("SerialNumber",)),
    Field("part_number", ("PartNumber",)),
    Field("uuid", ("UUID",)),
))  # fmt: skip

CELSIUS: Final = "EnvironmentMetrics/TemperatureCelsius/Reading"
WATTS: Final = "EnvironmentMetrics/PowerWatts/Reading"
CACHE: Final = Table("cache_metrics", "Metrics/CacheMetricsTotal/CurrentPeriod", "ProcessorMetrics.v1_6_0", fields=(
    Field("cache_misses", ("CacheMiss",), number),
    Field("cache_misses_per_instruction", ("CacheMissesPerInstruction",), number),
    Field("hit_ratio", ("HitRatio",), number),
    Field("occupancy_bytes", ("OccupancyBytes",), number),
    Field("occupancy_percent", ("OccupancyPercent",), number),
))  # fmt: skip
ENVIRONMENT: Final = ("EnvironmentMetrics", "EnvironmentMetrics.v1_3_0")
PROCESSOR: Final = Table(
    "processors", "", "Processor.v1_20_0", identity="processor_id", parts=(CACHE,),
    linked=(("Metrics", "ProcessorMetrics.v1_6_0"), ENVIRONMENT), fields=(
    Field("odata_id", ("@odata.id",)),
    Field("processor_id", ("Id",)),
    Field("socket", ("Socket",)),
    Field("processor_type", ("ProcessorType",)),
    Field("architecture", ("ProcessorArchitecture",)),
    Field("instruction_set", ("InstructionSet",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("model", ("Model",)),
    Field("max_speed_mhz", ("MaxSpeedMHz",), whole),
    Field("total_cores", ("TotalCores",), whole),
    Field("total_threads", ("TotalThreads",), whole),
    *STATUS,
    Field("operating_speed_mhz", ("Metrics/OperatingSpeedMHz", "OperatingSpeedMHz"), whole),
    Field("temperature_celsius", (CELSIUS, "Metrics/TemperatureCelsius"), number),  # Metrics: Dell GPUs, Lenovo, Intel
    Field("consumed_power_watts", (WATTS, "Metrics/ConsumedPowerWatt"), number),
))  # fmt: skip
DIMM: Final = Table(
    "dimms", "", "Memory.v1_20_0", identity="memory_id",
    linked=(("Metrics", "MemoryMetrics.v1_7_0"), ENVIRONMENT), fields=(
    Field("odata_id", ("@odata.id",)),
    Field("memory_id", ("Id",)),
    # The first is deprecated, the last of iLO 4, as are the last ones below.
    Field("device_locator", ("DeviceLocator", "Location/PartLocation/ServiceLabel", "SocketLocator")),
    Field("memory_type", ("MemoryType",)),
    Field("memory_device_type", ("MemoryDeviceType", "DIMMType")),
    Field("capacity_mib", ("CapacityMiB", "SizeMB"), whole),
    Field("operating_speed_mhz", ("OperatingSpeedMhz", "Metrics/OperatingSpeedMHz"), whole),
    Field("allowed_speeds_mhz", ("AllowedSpeedsMHz",), wholes),
    Field("manufacturer", ("Manufacturer",)),
    Field("part_number", ("PartNumber",)),
    Field("serial_number", ("SerialNumber",)),
    Field("rank_count", ("RankCount", "Rank"), whole),
    Field("data_width_bits", ("DataWidthBits", "DataWidth"), whole),
    Field("bus_width_bits", ("BusWidthBits", "TotalWidth"), whole),
    *STATUS,
    Field("temperature_celsius", (CELSIUS,), number),
    Field("consumed_power_watts", (WATTS,), number),
))  # fmt: skip
ADAPTER: Final = "Links/NetworkAdapter"
PORTS: Final = (f"{ADAPTER}/Controllers", "Controllers", "Ports", "NetworkPorts")
INTERFACE: Final = Table(
    "interfaces", "", "NetworkInterface.v1_2_0", identity="interface_id",
    linked=((ADAPTER, "NetworkAdapter.v1_11_0"),), fields=(
    Field("odata_id", ("@odata.id",)),
    Field("interface_id", ("Id",)),
    Field("name", ("Name", f"{ADAPTER}/Name")),
    Field("description", ("Description", f"{ADAPTER}/Model", "Model")),
    Field("health", ("Status/Health", f"{ADAPTER}/Status/Health")),
    Field("state", ("Status/State", f"{ADAPTER}/Status/State")),
    Field("ports", PORTS, port_count),
))  # fmt: skip
CONTROLLER: Final = Table(
    "storage_controllers", "StorageControllers", "StorageController.v1_8_0", identity="controller_id", fields=(
    Field("odata_id", ("@odata.id",)),
    Field("controller_id", ("MemberId", "Id")),
    Field("name", ("Name",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("model", ("Model",)),
    Field("firmware_version", ("FirmwareVersion",)),
    *STATUS,
    Field("supported_protocols", ("SupportedDeviceProtocols", "SupportedControllerProtocols"), texts),
))  # fmt: skip
DRIVE: Final = Table("drives", "Drives", "Drive.v1_20_0", identity="drive_id", fields=(
    Field("odata_id", ("@odata.id",)),
    Field("drive_id", ("Id",)),
    Field("name", ("Name",)),
    Field("manufacturer", ("Manufacturer",)),
    Field("model", ("Model",)),
    Field("serial_number", ("SerialNumber",)),
    Field("capacity_bytes", ("CapacityBytes",), whole),
    Field("media_type", ("MediaType",)),
    Field("protocol", ("Protocol",)),
    Field("rotation_speed_rpm", ("RotationSpeedRPM",), whole),
    Field("failure_predicted", ("FailurePredicted",), flag),
    *STATUS,
    Field("indicator_led", ("IndicatorLED", "LocationIndicatorActive"), led),
))  # fmt: skip
