"""Formatting of text for terminal, page and command line: units, tables, times, safe names."""
