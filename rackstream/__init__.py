"""Command line, embedded Kafka, supervisor, replay, queries and status of the pipeline."""
