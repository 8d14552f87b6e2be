"""The feed that is made for the caller."""
