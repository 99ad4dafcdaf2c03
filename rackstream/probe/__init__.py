"""What a target gives, asked once and told: `rackstream probe`. `target` says which module asks what kind of target."""
