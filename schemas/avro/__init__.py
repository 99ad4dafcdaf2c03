"""Avro readers and writers compiled from schemas; fastavro handles everything they do not support."""
