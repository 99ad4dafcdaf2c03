"""Formatting for terminal, web page and command line: units, tables, JSON, times, safe text."""
