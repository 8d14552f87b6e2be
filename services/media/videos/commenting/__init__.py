"""The RPCs of comments."""
