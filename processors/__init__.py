"""Processors derive records from records. Their steps are pure; only `app` uses Faust."""
