"""The commands of `rackstream`, a module per wish. Each imports what it needs when it is called."""
