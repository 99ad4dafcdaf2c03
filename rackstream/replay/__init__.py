"""Replay of past records: what to read, what to recompute, what is left to the live sink."""
