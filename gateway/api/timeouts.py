"""Deadlines of calls that take longer than others."""

HASHING_TIMEOUT = 8.0  # seconds: the user service queues passwords for bcrypt
