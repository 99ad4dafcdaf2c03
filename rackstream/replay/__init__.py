"""History made again: which records are read (`source`, `plan`), stepped (`refold`), left to live parts (`fence`)."""
