"""`python -m rackstream` is the `rackstream` command."""

from rackstream.cli import main

main()
