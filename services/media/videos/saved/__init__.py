"""Videos that users save for themselves."""
