"""Reads topics directly: consumer lag, schemas by id, printing and following records."""
