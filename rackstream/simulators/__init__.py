"""Simulated sources: what stands in for hardware in tests, demos and benchmarks."""
