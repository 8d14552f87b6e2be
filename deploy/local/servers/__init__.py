"""PostgreSQL, Valkey and NATS, run from the programs in PyPI wheels."""
