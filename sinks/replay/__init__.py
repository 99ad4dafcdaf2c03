"""Replay into a sink: backfill, and comparison of what is stored with what the topics hold."""
