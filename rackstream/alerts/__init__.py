"""Alerts as people handle them: what is active, silences, dry runs of rules."""
