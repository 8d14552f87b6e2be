"""Limits that a child process sets itself before it opens a file that users uploaded."""

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

MEGABYTE = 1_048_576
PR_SET_PDEATHSIG = 1


class Refused(Exception):
    """The file is not accepted. `code` is one of the codes that files/probe.py turns into errors."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def confine(cpu_seconds: int, memory_megabytes: int, file_megabytes: int) -> None:
    """Limits CPU time, address space and the size of each file written, and turns core dumps off."""
    for what, limit in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_megabytes * MEGABYTE),
        (resource.RLIMIT_FSIZE, file_megabytes * MEGABYTE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    os.nice(5)
    with suppress(OSError, AttributeError):  # Linux: end when the service ends, even by kill -9
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answer(**values: Any) -> NoReturn:
    """Prints the result as one line of JSON and exits at once: the destructors of the libraries may take long."""
    sys.stdout.write(json.dumps(values))
    sys.stdout.flush()
    os._exit(0)
