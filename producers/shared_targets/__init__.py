"""Shared targets: stored on Kafka and divided among the producers of a consumer group."""
