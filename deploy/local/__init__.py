"""Everything on this machine, without Docker: real servers from PyPI wheels, and hitok's own processes."""
