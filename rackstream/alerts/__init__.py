"""Alerts on Kafka: active alerts, silences, dry runs of rules."""
