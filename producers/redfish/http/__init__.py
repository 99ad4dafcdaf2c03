"""The line to one BMC: connections, login, redirects, breaker, ETags, faults. Of resources it knows the root alone.

`patience` is what the rest of the room asks, `client` what it asks through; `wire` is the only one with sockets.
"""
