"""Operators, whom the audit names by their names on their machine."""

import getpass
import os
from contextlib import suppress


def operator() -> str:
    """Who runs the command: their name on this machine, also behind sudo."""
    with suppress(OSError, KeyError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return f"uid {os.getuid()}"
