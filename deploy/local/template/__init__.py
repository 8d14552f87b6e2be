"""A process that has imported what hitok's processes share, and forks them: they share that memory too."""
