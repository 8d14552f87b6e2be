"""An MPEG program stream (ITU-T H.222.0, 2.5; ISO/IEC 11172-1): whether it is whole, and what nobody plays in it."""

import mmap
from collections.abc import Iterator
from pathlib import Path

from services.media.processing.sandbox.limits import Refused

START = b"\0\0\1"
END, PACK, FIRST, PRIVATE_2 = 0xB9, 0xBA, 0xBB, 0xBF  # start codes
TAIL = 4  # bytes of a start code
NAVIGATION = {(986, 0), (1_024, 1)}  # sizes and first bytes of a DVD's own packets of that kind


def check(path: Path) -> None:
    """Raises Refused if the file ends within a packet, as one does that was not sent to its end."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for _, start, size in _packets(data):
            if start + size > len(data):
                raise Refused("TRUNCATED", "cut short")


def strip(path: Path) -> bool:
    """Overwrites what programs keep for themselves (private_stream_2). Returns whether there was any."""
    changed = False
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        for code, start, size in _packets(data):
            content = data[start + 6 : start + size] if code == PRIVATE_2 else b""
            if any(content) and (size, content[0]) not in NAVIGATION:
                data[start + 6 : start + size] = bytes(size - 6)
                changed = True
    return changed


def _packets(data: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """Yields start code, offset and size of each. After a damaged stretch, continues with the next one found."""
    at = 0
    while at + TAIL <= len(data):
        if data[at : at + 3] != START or data[at + 3] < END:
            at = data.find(START, at + 1)
            if at < 0:
                return
            continue
        size = _size(data, at)
        yield data[at + 3], at, size
        at += size


def _size(data: mmap.mmap, at: int) -> int:
    head = data[at : at + 14]
    if head[3] == END:
        return TAIL
    if head[3] == PACK and len(head) == 14:
        return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12  # of MPEG-2, and of MPEG-1
    return 6 + int.from_bytes(head[4:6])
