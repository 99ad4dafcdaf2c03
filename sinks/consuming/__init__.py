"""What every sink has in common: reading its partitions, batching, retry and rejection, commits."""
