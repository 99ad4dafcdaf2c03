"""Audit: reconciles raw, derived and stored records by epoch, sequence and identity."""
