"""Sinks: store records or deliver alerts. `registry` lists their kinds; each kind has a folder of its own."""
