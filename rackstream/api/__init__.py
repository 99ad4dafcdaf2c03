"""The console: REST and live events over HTTP, on loopback by default. Several consoles may run at the same time."""
