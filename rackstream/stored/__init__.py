"""Stored history: its files, SQL over them, charts of them."""
