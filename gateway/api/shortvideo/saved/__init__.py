"""Videos that the caller saved."""
