"""The fleet file: its format, its validation, importers for other formats, and reload while a producer runs."""
