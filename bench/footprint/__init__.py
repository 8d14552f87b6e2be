"""What hitok takes of a machine."""
