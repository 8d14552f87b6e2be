"""How each service hands out what it holds of a user, for their export. A library: nothing here runs."""
