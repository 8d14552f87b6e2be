"""Requests that an overloaded gateway refuses."""
