"""Each server several times, so that any one may die: `python -m deploy.local --ha`."""
