"""HTTP access to one BMC: connections, login, redirects, retries, caches, errors.

Readers use `negative_cache`, which wraps `client`; only `transport` opens sockets. The only resources used
here by name are the service root and its sessions.
"""
