"""Tables for the resources of Redfish: one per array of records, one line per property. Data only.

A vendor's own spelling is a further path of the same line. A path may continue in a linked resource (`Metrics/…`) that
`system_resources` or `chassis_resources` puts in place of the link. The results are the records of RedfishSample.avsc
without `chassis_id`, `system_id` and `storage_id`. The schemas that replaced Thermal and Power have tables of their own
in `tables_subsystem`, which fill the same fields.
"""

from __future__ import annotations

from typing import Final

from producers.redfish.documents import boolean, integer, number
from producers.redfish.mapping.table import (
    FieldMapping,
    ResourceTable,
    integer_list,
    led_state,
    port_count,
    text_list,
)
from schemas.records import (
    BootSource,
    CacheMetrics,
    MemorySummary,
    ProcessorSummary,
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

ENTRY_FIELDS: Final = (
    FieldMapping("odata_id", ("@odata.id",)),
    FieldMapping("sensor_id", ("MemberId",)),
    FieldMapping("sensor_name", ("Name", "FanName")),  # FanName: iLO 4
)
STATUS_FIELDS: Final = (FieldMapping("health", ("Status/Health",)), FieldMapping("state", ("Status/State",)))
PHYSICAL_CONTEXT: Final = FieldMapping("physical_context", ("PhysicalContext",))

TEMPERATURE: Final = ResourceTable(
    RedfishTemperature,
    "temperatures",
    "Temperatures",
    "Thermal.v1_7_1",
    reading_fields=("reading_celsius",),
    fields=(
        *ENTRY_FIELDS,
        FieldMapping("reading_celsius", ("ReadingCelsius", "CurrentReading"), number),  # CurrentReading: iLO 4
        FieldMapping("upper_threshold_critical", ("UpperThresholdCritical",), number),
        FieldMapping("upper_threshold_fatal", ("UpperThresholdFatal",), number),
        FieldMapping("lower_threshold_critical", ("LowerThresholdCritical",), number),
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
FAN: Final = ResourceTable(
    RedfishFan,
    "fans",
    "Fans",
    "Thermal.v1_7_1",
    reading_fields=("speed_rpm", "speed_percent"),
    fields=(
        *ENTRY_FIELDS,
        # ReadingRPM: services that follow early versions of the schema. Percent: all of HPE.
        FieldMapping(
            "speed_rpm", ("Reading", "CurrentReading"), number, required_unit="RPM", path_with_unit="ReadingRPM"
        ),
        FieldMapping(
            "speed_percent",
            ("Reading", "CurrentReading"),
            number,
            required_unit="Percent",
            unless_number_at="ReadingRPM",
        ),
        FieldMapping("upper_threshold_critical", ("UpperThresholdCritical",), number),
        FieldMapping("lower_threshold_critical", ("LowerThresholdCritical",), number),
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
POWER_CONTROL: Final = ResourceTable(
    RedfishPowerControl,
    "power_controls",
    "PowerControl",
    "Power.v1_7_1",
    reading_fields=("power_consumed_watts",),
    fields=(
        *ENTRY_FIELDS,
        FieldMapping("power_consumed_watts", ("PowerConsumedWatts",), number),
        FieldMapping("power_requested_watts", ("PowerRequestedWatts",), number),
        FieldMapping("power_available_watts", ("PowerAvailableWatts",), number),
        FieldMapping("power_capacity_watts", ("PowerCapacityWatts",), number),
        FieldMapping("power_allocated_watts", ("PowerAllocatedWatts",), number),
        FieldMapping("power_limit", ("PowerLimit/LimitInWatts",), number),
        *STATUS_FIELDS,
    ),
)
VOLTAGE: Final = ResourceTable(
    RedfishVoltage,
    "voltages",
    "Voltages",
    "Power.v1_7_1",
    reading_fields=("reading_volts",),
    fields=(
        *ENTRY_FIELDS,
        FieldMapping("reading_volts", ("ReadingVolts",), number),
        FieldMapping("upper_threshold_critical", ("UpperThresholdCritical",), number),
        FieldMapping("upper_threshold_fatal", ("UpperThresholdFatal",), number),
        FieldMapping("lower_threshold_critical", ("LowerThresholdCritical",), number),
        FieldMapping("lower_threshold_fatal", ("LowerThresholdFatal",), number),
        *STATUS_FIELDS,
        PHYSICAL_CONTEXT,
    ),
)
ASSET_FIELDS: Final = (
    FieldMapping("model", ("Model",)),
    FieldMapping("manufacturer", ("Manufacturer",)),
    FieldMapping("serial_number", ("SerialNumber",)),
    FieldMapping("part_number", ("PartNumber",)),
    FieldMapping("firmware_version", ("FirmwareVersion",)),
)
"""Manufacturer data of a power supply, in both schemas."""
POWER_SUPPLY: Final = ResourceTable(
    RedfishPowerSupply,
    "power_supplies",
    "PowerSupplies",
    "Power.v1_7_1",
    fields=(
        *ENTRY_FIELDS,
        FieldMapping("power_capacity_watts", ("PowerCapacityWatts",), number),
        FieldMapping("power_input_watts", ("PowerInputWatts",), number),
        FieldMapping(
            "power_output_watts", ("PowerOutputWatts", "LastPowerOutputWatts"), number
        ),  # HPE, Cisco: Last… only
        FieldMapping("efficiency_percent", ("EfficiencyPercent",), number),
        FieldMapping("line_input_voltage", ("LineInputVoltage",), number),
        FieldMapping("line_input_voltage_type", ("LineInputVoltageType",)),
        *ASSET_FIELDS,
        *STATUS_FIELDS,
    ),
)

SUMMARY_STATUS_FIELDS: Final = (
    FieldMapping("status_health", ("Status/Health",)),
    FieldMapping("status_state", ("Status/State",)),
)
BOOT_SOURCE: Final = ResourceTable(
    BootSource,
    "boot_source",
    "Boot",
    "ComputerSystem.v1_20_0",
    fields=(
        FieldMapping("boot_source_override_enabled", ("BootSourceOverrideEnabled",)),
        FieldMapping("boot_source_override_target", ("BootSourceOverrideTarget",)),
        FieldMapping("boot_source_override_mode", ("BootSourceOverrideMode",)),
        FieldMapping("uefi_target_boot_source_override", ("UefiTargetBootSourceOverride",)),
    ),
)
PROCESSOR_SUMMARY: Final = ResourceTable(
    ProcessorSummary,
    "processor_summary",
    "ProcessorSummary",
    "ComputerSystem.v1_20_0",
    fields=(
        FieldMapping("count", ("Count",), integer),
        FieldMapping("model", ("Model",)),
        *SUMMARY_STATUS_FIELDS,
    ),
)
MEMORY_SUMMARY: Final = ResourceTable(
    MemorySummary,
    "memory_summary",
    "MemorySummary",
    "ComputerSystem.v1_20_0",
    fields=(
        FieldMapping("total_system_memory_gib", ("TotalSystemMemoryGiB",), number),
        *SUMMARY_STATUS_FIELDS,
    ),
)
SYSTEM: Final = ResourceTable(
    RedfishSystem,
    "systems",
    "",
    "ComputerSystem.v1_20_0",
    id_field="system_id",
    nested=(BOOT_SOURCE, PROCESSOR_SUMMARY, MEMORY_SUMMARY),
    fields=(
        FieldMapping("system_id", ("Id",)),
        FieldMapping("odata_id", ("@odata.id",)),
        FieldMapping("power_state", ("PowerState",)),
        FieldMapping("system_type", ("SystemType",)),
        *STATUS_FIELDS,
        FieldMapping("bios_version", ("BiosVersion",)),
        FieldMapping("model", ("Model",)),
        FieldMapping("manufacturer", ("Manufacturer",)),
        FieldMapping("serial_number", ("SerialNumber",)),
        FieldMapping("part_number", ("PartNumber",)),
        FieldMapping("uuid", ("UUID",)),
    ),
)

ENVIRONMENT_CELSIUS: Final = "EnvironmentMetrics/TemperatureCelsius/Reading"
ENVIRONMENT_WATTS: Final = "EnvironmentMetrics/PowerWatts/Reading"
CACHE_METRICS: Final = ResourceTable(
    CacheMetrics,
    "cache_metrics",
    "Metrics/CacheMetricsTotal/CurrentPeriod",
    "ProcessorMetrics.v1_6_0",
    fields=(
        FieldMapping("cache_misses", ("CacheMiss",), number),
        FieldMapping("cache_misses_per_instruction", ("CacheMissesPerInstruction",), number),
        FieldMapping("hit_ratio", ("HitRatio",), number),
        FieldMapping("occupancy_bytes", ("OccupancyBytes",), number),
        FieldMapping("occupancy_percent", ("OccupancyPercent",), number),
    ),
)
ENVIRONMENT_METRICS_LINK: Final = ("EnvironmentMetrics", "EnvironmentMetrics.v1_3_0")
PROCESSOR: Final = ResourceTable(
    RedfishProcessor,
    "processors",
    "",
    "Processor.v1_20_0",
    id_field="processor_id",
    nested=(CACHE_METRICS,),
    link_schemas=(("Metrics", "ProcessorMetrics.v1_6_0"), ENVIRONMENT_METRICS_LINK),
    fields=(
        FieldMapping("odata_id", ("@odata.id",)),
        FieldMapping("processor_id", ("Id",)),
        FieldMapping("socket", ("Socket",)),
        FieldMapping("processor_type", ("ProcessorType",)),
        FieldMapping("architecture", ("ProcessorArchitecture",)),
        FieldMapping("instruction_set", ("InstructionSet",)),
        FieldMapping("manufacturer", ("Manufacturer",)),
        FieldMapping("model", ("Model",)),
        FieldMapping("max_speed_mhz", ("MaxSpeedMHz",), integer),
        FieldMapping("total_cores", ("TotalCores",), integer),
        FieldMapping("total_threads", ("TotalThreads",), integer),
        *STATUS_FIELDS,
        FieldMapping("operating_speed_mhz", ("Metrics/OperatingSpeedMHz", "OperatingSpeedMHz"), integer),
        # Metrics: GPUs of Dell, Lenovo, Intel.
        FieldMapping("temperature_celsius", (ENVIRONMENT_CELSIUS, "Metrics/TemperatureCelsius"), number),
        FieldMapping("consumed_power_watts", (ENVIRONMENT_WATTS, "Metrics/ConsumedPowerWatt"), number),
    ),
)
DIMM: Final = ResourceTable(
    RedfishDimm,
    "dimms",
    "",
    "Memory.v1_20_0",
    id_field="memory_id",
    link_schemas=(("Metrics", "MemoryMetrics.v1_7_0"), ENVIRONMENT_METRICS_LINK),
    fields=(
        FieldMapping("odata_id", ("@odata.id",)),
        FieldMapping("memory_id", ("Id",)),
        # DeviceLocator is deprecated; SocketLocator is of iLO 4, as are the last paths of the fields below.
        FieldMapping("device_locator", ("DeviceLocator", "Location/PartLocation/ServiceLabel", "SocketLocator")),
        FieldMapping("memory_type", ("MemoryType",)),
        FieldMapping("memory_device_type", ("MemoryDeviceType", "DIMMType")),
        FieldMapping("capacity_mib", ("CapacityMiB", "SizeMB"), integer),
        FieldMapping("operating_speed_mhz", ("OperatingSpeedMhz", "Metrics/OperatingSpeedMHz"), integer),
        FieldMapping("allowed_speeds_mhz", ("AllowedSpeedsMHz",), integer_list),
        FieldMapping("manufacturer", ("Manufacturer",)),
        FieldMapping("part_number", ("PartNumber",)),
        FieldMapping("serial_number", ("SerialNumber",)),
        FieldMapping("rank_count", ("RankCount", "Rank"), integer),
        FieldMapping("data_width_bits", ("DataWidthBits", "DataWidth"), integer),
        FieldMapping("bus_width_bits", ("BusWidthBits", "TotalWidth"), integer),
        *STATUS_FIELDS,
        FieldMapping("temperature_celsius", (ENVIRONMENT_CELSIUS,), number),
        FieldMapping("consumed_power_watts", (ENVIRONMENT_WATTS,), number),
    ),
)
NETWORK_ADAPTER: Final = "Links/NetworkAdapter"
PORT_COUNT_PATHS: Final = (f"{NETWORK_ADAPTER}/Controllers", "Controllers", "Ports", "NetworkPorts")
NETWORK_INTERFACE: Final = ResourceTable(
    RedfishInterface,
    "interfaces",
    "",
    "NetworkInterface.v1_2_0",
    id_field="interface_id",
    link_schemas=((NETWORK_ADAPTER, "NetworkAdapter.v1_11_0"),),
    fields=(
        FieldMapping("odata_id", ("@odata.id",)),
        FieldMapping("interface_id", ("Id",)),
        FieldMapping("name", ("Name", f"{NETWORK_ADAPTER}/Name")),
        FieldMapping("description", ("Description", f"{NETWORK_ADAPTER}/Model", "Model")),
        FieldMapping("health", ("Status/Health", f"{NETWORK_ADAPTER}/Status/Health")),
        FieldMapping("state", ("Status/State", f"{NETWORK_ADAPTER}/Status/State")),
        FieldMapping("ports", PORT_COUNT_PATHS, port_count),
    ),
)
STORAGE_CONTROLLER: Final = ResourceTable(
    RedfishStorageController,
    "storage_controllers",
    "StorageControllers",
    "StorageController.v1_8_0",
    id_field="controller_id",
    fields=(
        FieldMapping("odata_id", ("@odata.id",)),
        FieldMapping("controller_id", ("MemberId", "Id")),
        FieldMapping("name", ("Name",)),
        FieldMapping("manufacturer", ("Manufacturer",)),
        FieldMapping("model", ("Model",)),
        FieldMapping("firmware_version", ("FirmwareVersion",)),
        *STATUS_FIELDS,
        FieldMapping("supported_protocols", ("SupportedDeviceProtocols", "SupportedControllerProtocols"), text_list),
    ),
)
DRIVE: Final = ResourceTable(
    RedfishDrive,
    "drives",
    "Drives",
    "Drive.v1_20_0",
    id_field="drive_id",
    fields=(
        FieldMapping("odata_id", ("@odata.id",)),
        FieldMapping("drive_id", ("Id",)),
        FieldMapping("name", ("Name",)),
        FieldMapping("manufacturer", ("Manufacturer",)),
        FieldMapping("model", ("Model",)),
        FieldMapping("serial_number", ("SerialNumber",)),
        FieldMapping("capacity_bytes", ("CapacityBytes",), integer),
        FieldMapping("media_type", ("MediaType",)),
        FieldMapping("protocol", ("Protocol",)),
        FieldMapping("rotation_speed_rpm", ("RotationSpeedRPM",), integer),
        FieldMapping("failure_predicted", ("FailurePredicted",), boolean),
        *STATUS_FIELDS,
        FieldMapping("indicator_led", ("IndicatorLED", "LocationIndicatorActive"), led_state),
    ),
)
