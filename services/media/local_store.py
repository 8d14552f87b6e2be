"""What a store in a local folder does that obstore does not: take a file over without a copy, and sync it to disk."""

import ctypes
import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None)


def adopt(folder: Path, key: str, source: Path) -> bool:
    """Stores a finished file under the key, atomically, as another name of it. The source must not be written to again.

    Returns False if the folder is on another disk, or its file system has no second names.
    """
    target, draft = folder / key, folder / f"{key}#{secrets.token_hex(4)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if source.stat().st_uid != os.geteuid():  # a child of root had it
            os.chown(source, os.geteuid(), os.getegid())
        os.link(source, draft, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            return False
        raise
    try:
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)  # replace leaves it if both are the same file already
    return True


def sync(folder: Path, key: str) -> None:
    """Syncs the file and its folders to the disk. obstore does not, and the kernel may take half a minute."""
    for path in (folder / key, *(folder / parent for parent in Path(key).parents)):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def begin_writing(descriptor: int, start: int, size: int) -> None:
    """Has the kernel write these bytes to the disk soon, so that syncing the whole file later takes less time."""
    with suppress(AttributeError):  # not Linux
        _libc.sync_file_range(descriptor, ctypes.c_int64(start), ctypes.c_int64(size), SYNC_FILE_RANGE_WRITE)
