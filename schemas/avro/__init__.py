"""Compiled Avro readers and writers, checked against fastavro, which takes over whatever they do not support."""
