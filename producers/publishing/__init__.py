"""Publishing of samples: numbering, delivery to Kafka, spooling to disk, dropped records."""
