"""Reads stored files: rows, SQL queries, series for charts."""
