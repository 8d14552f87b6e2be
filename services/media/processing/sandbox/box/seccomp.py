"""Seccomp: the kernel refuses the system calls of syscalls.py with EPERM, for the rest of the process.

The filter is a program of the kernel's classic BPF: it loads a word of the call, compares, and returns a verdict.
"""

import ctypes
import errno
import os
import platform
import struct

from services.media.processing.sandbox.box import syscalls

PR_SET_SECCOMP, FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in the call's data
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
REFUSED, UNKNOWN = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
X32 = 0x40000000  # numbers from here on are those of another ABI of x86_64
CLONE_THREAD = 0x00010000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict(libc: ctypes.CDLL) -> bool:
    """Whether the filter is in force. Needs no_new_privs."""
    machine = syscalls.ARCHITECTURES.get(platform.machine())
    if machine is None:
        return False
    code = _program(machine)
    program = _Program(len(code) // 8, code)
    return bool(libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) == 0)


def _program(machine: syscalls.Architecture) -> bytes:
    at = machine.column
    code = [_step(LOAD, ARCHITECTURE), _step(EQUAL, machine.audit, 1, 0), _step(RETURN, KILL), _step(LOAD, NUMBER)]
    code += [_step(AT_LEAST, X32, 0, 1), _step(RETURN, REFUSED)]
    code += _refuse(syscalls.CLONE3[at], UNKNOWN)  # its flags are in memory; libc then takes clone
    for numbers in syscalls.DENIED.values():
        if numbers[at] != syscalls.NONE:
            code += _refuse(numbers[at], REFUSED)
    code += _unless_argument(syscalls.CLONE[at], _step(ANY_BIT, CLONE_THREAD, 1, 0))
    code += _unless_argument(syscalls.PRLIMIT[at], _step(EQUAL, 0, 1, 0))
    for numbers in syscalls.TO_SELF.values():
        code += _unless_argument(numbers[at], _step(EQUAL, os.getpid(), 1, 0))
    return b"".join([*code, _step(RETURN, ALLOW)])


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
