"""Dead letters: listing, retrying and dropping records that a stage could not process."""
