"""What keeps a process from taking more than it can do."""
