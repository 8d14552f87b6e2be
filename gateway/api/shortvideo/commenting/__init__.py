"""Comments: what they say, how they are read, written and changed."""
