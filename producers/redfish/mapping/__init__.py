"""Mapping of Redfish properties to record fields: the mapping engine and its tables."""
