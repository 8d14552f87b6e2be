"""Operators, whom the audit names by their names on their machine."""

import getpass
import os
from contextlib import suppress


def operator() -> str:
    """Returns the name of the operator who runs the command, also behind sudo."""
    with suppress(OSError, KeyError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return f"uid {os.getuid()}"
