"""The bounds that a child process sets itself before it looks at a stranger's file."""

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
    """The file is not to be taken; `code` is one of those that files/probe.py makes errors of."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def confine(cpu_seconds: int, memory_megabytes: int, file_megabytes: int) -> None:
    """CPU time, address space, and the size of any file it writes; no core dumps."""
    for what, limit in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_megabytes * MEGABYTE),
        (resource.RLIMIT_FSIZE, file_megabytes * MEGABYTE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    os.nice(5)
    with suppress(OSError, AttributeError):  # Linux: end with the service, also when that is killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answer(**values: Any) -> NoReturn:
    """The result, as one line of JSON; the libraries' own destructors are not worth waiting for."""
    sys.stdout.write(json.dumps(values))
    sys.stdout.flush()
    os._exit(0)
