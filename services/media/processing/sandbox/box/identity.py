"""A user id of its own for a decoder that root started."""

import ctypes
import os
import struct
from pathlib import Path

UID = 64_713  # no account has it: systemd gives 61184 to 65519 to services that have none
PR_SET_KEEPCAPS = 8
CAPABILITY_VERSION = 0x20080522
READ_EVERYWHERE = 1 << 2  # CAP_DAC_READ_SEARCH


def give_up_root(libc: ctypes.CDLL, scratch: Path) -> bool:
    """Becomes UID, the owner of the scratch folder and of the files in it. Returns False if that is not possible.

    It can still read what root can, because our code and the files of users may be in folders of root; Landlock
    narrows that. It can write nothing but the scratch folder, and reach no other process.
    """
    if os.geteuid():
        return False
    try:
        for path in (scratch, *scratch.iterdir()):
            os.chown(path, UID, UID, follow_symlinks=False)
        os.setgroups([])
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
    except PermissionError:  # a container without the capabilities of root
        return False
    header = struct.pack("Ii", CAPABILITY_VERSION, 0)
    libc.capset(header, struct.pack("6I", READ_EVERYWHERE, READ_EVERYWHERE, 0, 0, 0, 0))
    return True
