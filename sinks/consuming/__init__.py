"""The consuming side of every sink: partitions, batches, retries, dead letters and commits."""
