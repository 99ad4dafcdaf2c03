"""The contract: topics (`topics.toml`), records (`avsc/`), their wire format (`codec`). Knows no other package."""
