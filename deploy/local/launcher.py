"""Replaces itself with another program that ends when its parent ends. A script: `launcher.py` is run by path.

Its steps must happen after the fork and before the exec. Running Python there in our own process, which has threads
(`preexec_fn`), can deadlock; so this small process does them.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def call_libc(function: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc[function](*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")


def keep_capability(capability: int) -> None:
    """Keeps one of root's capabilities through the change of user and through exec."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    sets = (ctypes.c_uint32 * 6)(
        bit, bit, bit, 0, 0, 0
    )  # low words of effective, permitted, inheritable; then the high words
    call_libc("capset", header, sets)
    call_libc("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def change_user(uid: int, *, reach_everything: bool) -> None:
    if reach_everything:
        call_libc("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if reach_everything:
        keep_capability(CAP_DAC_OVERRIDE)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Works on Linux only. Call it last: a change of user resets it."""
    if sys.platform == "linux":
        call_libc("prctl", PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the starting process is already gone")


def main() -> None:
    parent, death_signal, uid, reach_everything = map(int, sys.argv[1:5])
    command = sys.argv[5:]
    # Python ignores these two signals, and exec would pass that on.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        if uid >= 0:
            change_user(uid, reach_everything=bool(reach_everything))
        die_with_parent(parent, death_signal)
        os.execv(command[0], command)  # noqa: S606 - what this script is for
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error}")


if __name__ == "__main__":
    main()
