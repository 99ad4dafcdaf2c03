"""The product as a person meets it: the command line, the embedded Kafka, the supervisor, replay, history, status."""
