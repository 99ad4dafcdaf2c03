"""Chaos tests: a pipeline under faults and the audit of the result, run by `make chaos` from a checkout."""
