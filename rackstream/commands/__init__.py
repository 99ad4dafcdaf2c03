"""Commands of `rackstream`. Each imports what it needs when it is called."""
