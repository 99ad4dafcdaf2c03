"""`rackstream demo`: a simulated fleet, the pipeline on it, and its live view."""
