"""Seccomp: the kernel refuses the system calls of syscalls.py with EPERM, for the rest of the process.

The filter is a program of the kernel's classic BPF: it loads a word of the call, compares, and returns a verdict.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable

from services.media.processing.sandbox.box import syscalls

PR_SET_SECCOMP, FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in the call's data
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
REFUSED, UNKNOWN = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
X32 = 0x40000000  # numbers from here on are those of another ABI of x86_64
CLONE_THREAD = 0x00010000
# What a parent of decoders needs: its socket to the service, to fork, and what its children need to shut themselves in.
OF_PARENTS = (
    *("fork", "sendto", "sendmsg", "recvmsg", "setpriority"),
    *("chown", "lchown", "fchownat", "setgroups", "setresuid", "setresgid", "capset"),
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict(libc: ctypes.CDLL) -> bool:
    """Whether the filter is in force. Needs no_new_privs."""
    return _restrict(libc, _of_decoder)


def restrict_parent(libc: ctypes.CDLL) -> bool:
    """As `restrict`, for a process that reads nothing of users, but forks those that do."""
    return _restrict(libc, _of_parent)


def _restrict(libc: ctypes.CDLL, write: Callable[[syscalls.Architecture], list[bytes]]) -> bool:
    machine = syscalls.ARCHITECTURES.get(platform.machine())
    if machine is None:
        return False
    code = b"".join([*write(machine), _step(RETURN, ALLOW)])
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) == 0)


def _of_parent(machine: syscalls.Architecture) -> list[bytes]:
    code = [_step(LOAD, ARCHITECTURE), _step(EQUAL, machine.audit, 1, 0), _step(RETURN, KILL), _step(LOAD, NUMBER)]
    code += [_step(AT_LEAST, X32, 0, 1), _step(RETURN, REFUSED)]
    code += _refuse(syscalls.CLONE3[machine.column], UNKNOWN)  # its flags are in memory; libc then takes clone
    for name, numbers in syscalls.DENIED.items():
        if numbers[machine.column] != syscalls.NONE and name not in OF_PARENTS:
            code += _refuse(numbers[machine.column], REFUSED)
    return code


def _of_decoder(machine: syscalls.Architecture) -> list[bytes]:
    at, code = machine.column, _of_parent(machine)
    for name in OF_PARENTS:
        if syscalls.DENIED[name][at] != syscalls.NONE:
            code += _refuse(syscalls.DENIED[name][at], REFUSED)
    code += _unless_argument(syscalls.CLONE[at], _step(ANY_BIT, CLONE_THREAD, 1, 0))
    code += _unless_argument(syscalls.PRLIMIT[at], _step(EQUAL, 0, 1, 0))
    for numbers in syscalls.TO_SELF.values():
        code += _unless_argument(numbers[at], _step(EQUAL, os.getpid(), 1, 0))
    return code


def _refuse(number: int, verdict: int) -> list[bytes]:
    return [_step(EQUAL, number, 0, 1), _step(RETURN, verdict)]


def _unless_argument(number: int, allowed: bytes) -> list[bytes]:
    """Refuses the call unless `allowed`, a comparison of its first argument, skips the refusal."""
    return [
        _step(EQUAL, number, 0, 4),
        _step(LOAD, FIRST_ARGUMENT),
        allowed,
        _step(RETURN, REFUSED),
        _step(RETURN, ALLOW),
    ]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
