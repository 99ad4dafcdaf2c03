"""`python -m rackstream`: the same as the `rackstream` command."""

from rackstream.cli import main

main()
