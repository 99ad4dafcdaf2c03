"""Publishing of samples: numbered, handed to Kafka, spooled to disk while Kafka is away, accounted for when dropped."""
