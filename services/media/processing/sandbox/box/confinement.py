"""Shuts the process in: what it reads from now on may try to take it over."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from services.media.processing.sandbox.box import identity, landlock, seccomp

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SERVICES = Path(__file__).parents[4]
# What Python and the decoders read besides the file: code, the linker's cache, the number of processors.
READABLE = (
    *map(Path, {sys.prefix, sys.base_prefix}),
    SERVICES,
    *map(Path, ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu")),
    *map(Path, ("/proc/cpuinfo", "/proc/meminfo", "/dev/null", "/dev/zero", "/dev/urandom")),
)


class Walls(NamedTuple):
    """The measures in force: a user id of its own, the version of Landlock (0: none), the filter of system calls."""

    uid: bool
    landlock: int
    seccomp: bool


def shut_in(readable: Iterable[Path], scratch: Path) -> Walls:
    """Leaves to this process its code, the `readable` files and the `scratch` folder, as far as the kernel can.

    Call it before threads are started, because it covers this thread and those that it starts.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    parent = os.getppid()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    version = landlock.restrict(libc, [*READABLE, *readable], [scratch])
    own = identity.give_up_root(libc, scratch)
    end_with_parent(libc, parent)
    return Walls(own, version, seccomp.restrict(libc))


def end_with_parent(libc: ctypes.CDLL, parent: int) -> None:
    """Ends this process when `parent` ends, even by kill -9. A change of the user id undoes it."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        os._exit(1)
