"""Kafka access control: roles, and the ACLs that grant what each needs."""
