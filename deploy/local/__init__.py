"""Runs everything on this machine without Docker: PostgreSQL, Valkey and NATS from PyPI wheels, and hitok's
processes."""
