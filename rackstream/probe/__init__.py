"""`rackstream probe`: reads one target once and shows what it offers.

`target` selects the module for its kind.
"""
