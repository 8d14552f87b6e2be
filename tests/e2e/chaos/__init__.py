"""Faults of the whole of hitok under traffic whose outcome is checked (tests/e2e/test_chaos.py)."""
