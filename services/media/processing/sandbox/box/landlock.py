"""Landlock: the kernel's list of the files that this process may open, and a bar to ports and to other processes.

The numbers are those of linux/landlock.h. A newer kernel knows more kinds of access; what an older one lacks is left
out.
"""

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on every architecture
VERSION = 1  # flag of CREATE_RULESET that asks for the version
PATH_BENEATH = 1  # kind of rule
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
TRUNCATE = 1 << 14
KINDS_OF_ACCESS = {1: 13, 2: 14, 3: 15, 5: 16}  # how many a version knows; the others added none
NETWORK = 0b11  # to bind and to connect TCP ports, from version 4
SCOPES = 0b11  # abstract sockets of other processes, and signals to them, from version 6
READING = READ_FILE | READ_DIR
OF_FILES = WRITE_FILE | READ_FILE | TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version(libc: ctypes.CDLL) -> int:
    """0 if the kernel has none, or it is turned off."""
    return max(int(libc.syscall(CREATE_RULESET, None, 0, VERSION)), 0)


def restrict(libc: ctypes.CDLL, readable: Iterable[Path], writable: Iterable[Path]) -> int:
    """From now on this thread and those it starts open nothing else. Needs no_new_privs.

    `writable`: folders, in which files may also be made and deleted. Returns the version in force, 0 for none.
    """
    known = version(libc)
    if not known:
        return 0
    handled = (1 << KINDS_OF_ACCESS[max(each for each in KINDS_OF_ACCESS if each <= known)]) - 1
    rules = _Ruleset(handled, NETWORK if known >= 4 else 0, SCOPES if known >= 6 else 0)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return 0
    try:
        for path in readable:
            _allow(libc, ruleset, path, handled & READING)
        for path in writable:
            _allow(libc, ruleset, path, handled & (READING | OF_FILES | REMOVE_FILE | MAKE_FILE))
        return known if libc.syscall(RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    """A path that does not exist needs no rule."""
    with suppress(FileNotFoundError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _Beneath(access if path.is_dir() else access & OF_FILES, descriptor)
            libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(descriptor)
