"""Runs everything on one machine: embedded Kafka, pipeline, supervisor."""
