"""What ps and /proc show as the command line of a forked process."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

ROOM = " " * 120
"""An argument that makes room for the titles: a title is written over the command line that the process began with."""


def set_title(command: Sequence[str]) -> None:
    """Cut to the length of the command line before. On Linux only."""
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    title = b"\0".join(part.encode() for part in command)[: end - start - 1]
    ctypes.memmove(start, title.ljust(end - start, b"\0"), end - start)
