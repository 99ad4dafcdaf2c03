"""Dead letters: listing, and retry."""
