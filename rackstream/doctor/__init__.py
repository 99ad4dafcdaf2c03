"""`rackstream doctor`: finds where data stops between targets and sinks, and suggests a fix.

Changes nothing.
"""
