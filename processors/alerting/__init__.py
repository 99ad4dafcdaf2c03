"""The alert engine: rule packs, their evaluation on records, and the alert step with its transitions."""
