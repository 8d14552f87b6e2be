"""Distinguishes failures of this machine, which can be tried again, from failures of the file."""

import errno
import traceback
from pathlib import Path
from typing import NamedTuple

from services.media.processing.sandbox.limits import Refused

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # not EIO, by which FFmpeg also means a broken file


class Failure(NamedTuple):
    """`code` is one of those that files/probe.py turns into errors."""

    code: str
    detail: str


def failure_of(error: Exception, source: Path) -> Failure:
    """Why `source` could not be inspected or converted. What a library raises otherwise means a broken file."""
    if isinstance(error, Refused):
        return Failure(error.code, str(error))
    if isinstance(error, MemoryError | ImportError) or getattr(error, "errno", None) == errno.ENOMEM:
        return Failure("DIED", "out of memory")  # a library that cannot be loaded, too
    if getattr(error, "errno", None) in FULL or not source.exists():
        return Failure("AWAY", str(error)[:300])
    return Failure("BROKEN", "".join(traceback.format_exception(error, limit=-1))[-300:])
