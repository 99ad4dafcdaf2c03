"""Tables that map Redfish properties to record fields."""
