"""Shared infrastructure of all processes: settings, Kafka clients, topics, errors, logs, metrics.

A module belongs here if at least two of producers, processors, sinks and rackstream use it.
"""
