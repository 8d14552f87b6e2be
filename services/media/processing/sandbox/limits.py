"""Limits that a child process sets itself before it opens a file that users uploaded."""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

from services.media.processing.sandbox.box.confinement import Walls, shut_in

MEGABYTE = 1_048_576
_confined = Event()


class Refused(Exception):
    """The file is not accepted. `code` is one of the codes that files/probe.py turns into errors."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def confine(request: dict[str, Any], source: Path, scratch: Path, file_megabytes: int) -> Walls:
    """Limits CPU time, address space and the size of each file written, turns core dumps off, and leaves to the
    process nothing but the source and its scratch folder. Returns what of that the kernel can do.
    """
    for what, limit in (
        (resource.RLIMIT_CPU, request["cpu_seconds"]),
        (resource.RLIMIT_AS, request["memory_megabytes"] * MEGABYTE),
        (resource.RLIMIT_FSIZE, file_megabytes * MEGABYTE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    _confined.set()
    return shut_in([source], scratch)


def allow_cpu(seconds: float) -> None:
    """Ends the process when it has used that much more CPU time. A later call replaces an earlier one.

    It is for processes that confined themselves: tests call the inspectors in theirs.
    """
    if _confined.is_set():
        signal.setitimer(signal.ITIMER_PROF, seconds)


def answer(**values: Any) -> NoReturn:
    """Prints the result as one line of JSON and exits at once: the destructors of the libraries may take long."""
    sys.stdout.write(json.dumps(values))
    sys.stdout.flush()
    os._exit(0)
