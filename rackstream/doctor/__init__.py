"""Where does data stop between a target and its sinks, and what is to be done? Looks, changes nothing."""
