"""Runs steps on Kafka partitions: batches, state, restore after a restart, delivery of outputs."""
