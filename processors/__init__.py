"""Processors turn records into records. Every module here is pure but `app`, the only one that knows Faust."""
