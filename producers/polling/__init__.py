"""The poll loop: when each target is polled, by which worker, and the status that is published for it."""
