"""What every process needs: settings, Kafka clients, topics, errors, logs, metrics. Each serves two edges or more."""
