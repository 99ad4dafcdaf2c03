"""Poll loop: schedule, workers, and the status that is published for each target."""
