"""Sinks store records. Rows are pure (`datasets`, `line`); `batch` alone decides what a failure means."""
