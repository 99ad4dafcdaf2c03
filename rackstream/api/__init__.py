"""The console: REST and live events over HTTP, on loopback unless told otherwise. Any number of them may run."""
