"""Kafka access rights: the roles of Rackstream, and the ACLs that grant them."""
