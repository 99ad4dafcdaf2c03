"""A whole pipeline under faults, and the audit of what is left: `make chaos`. Runs from a checkout, as bench/ does."""
