"""The feed that is made for a user: candidates, their scores, and what users may set of it (docs/adr/0080)."""
