"""Data contract between all processes: topics (`topics.toml`), record types (`avsc/`), wire format (`codec`).

Depends on no other package of this repository.
"""
