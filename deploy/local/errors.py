"""Errors of the user's machine, with texts that say how to fix them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION_ERROR = 2
"""Exit code of a process that was given a wrong setting; starting it again cannot help."""


class LocalError(Exception):
    """Ends the run: one line naming the remedy, with the log's last lines below it if they help."""

    def __init__(self, message: str, *, details: str = "", code: int = 1) -> None:
        super().__init__(f"{message}\n{details}" if details else message)
        self.code = code


@contextmanager
def explain_os_errors(path: Path, remedy: str = "set HITOK_VAR to another folder") -> Iterator[None]:
    """Turn an OSError met while working under `path` into a LocalError."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        reason = error.strerror or str(error)
        raise LocalError(f"cannot use {place}: {reason.lower()}. Mend or remove it, or {remedy}") from error
