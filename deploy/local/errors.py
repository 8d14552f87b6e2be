"""Errors that the user of this machine can fix."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION_ERROR = 2
"""Exit code of a process that was given a wrong setting; starting it again cannot help."""


class LocalError(Exception):
    """Ends the run. The text is one line that names the remedy; `details` are the last lines of a log."""

    def __init__(self, message: str, *, details: str = "", code: int = 1) -> None:
        super().__init__(f"{message}\n{details}" if details else message)
        self.code = code


@contextmanager
def explain_os_errors(path: Path, remedy: str = "set HITOK_VAR to another folder") -> Iterator[None]:
    """Turns an OSError raised while working under `path` into a LocalError."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        reason = error.strerror or str(error)
        raise LocalError(f"cannot use {place}: {reason.lower()}. Mend or remove it, or {remedy}") from error
