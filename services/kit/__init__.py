VERSION = "0.1.0"  # written by `make release`, read by pyproject.toml
