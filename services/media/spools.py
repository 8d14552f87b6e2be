"""The folders in which processes keep files under way: one for each process, deleted once the process has ended.

A process locks its folder (flock(2)) for as long as it runs. The kernel releases the lock of a killed one, so that
another process can tell what it left from what is in use.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """Yields a new folder of this process, locked while the block runs and deleted when it ends."""
    folder, descriptor = _locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = parent / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        if (descriptor := _try_lock(folder)) is not None:
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)  # another process deleted it before it was locked


def delete_abandoned(parent: Path) -> int:
    """Deletes the folders of processes that have ended; returns how many files were in them."""
    count = 0
    for folder in [path for path in parent.iterdir() if path.is_dir()]:
        if (descriptor := _try_lock(folder)) is not None:
            count += sum(path.is_file() for path in folder.rglob("*"))
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
    return count


def _try_lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None if a process holds it, or the folder is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
