"""A service that fails at every start."""

if __name__ == "__main__":
    raise SystemExit("something inside is broken")
