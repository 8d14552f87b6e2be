"""The date, place and camera that camcorders write between the frames: AVCHD's MDPM, an SEI message of H.264 (ITU-T
H.264, D.1.7), in any container."""

import mmap
from collections.abc import Iterator
from pathlib import Path

UUID = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66")
NAME = b"MDPM"
MAX_SIZE = 65_536


def strip(path: Path) -> bool:
    """For formats that store each frame in one piece. Returns whether there was any such message."""
    if not path.stat().st_size:
        return False
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        places = list(find(data))
        for at in places:
            data[at] = 0xFF
    return bool(places)


def find(data: bytes | bytearray | mmap.mmap) -> Iterator[int]:
    """Yields the offsets of the bytes to overwrite, and not with zeros. The bytes that keep zeros from looking like a
    start code (7.4.1.1) stay, since the message's length does not count them."""
    at = data.find(UUID + NAME)
    while at >= 0:
        size, before = data[at - 1], at - 2
        while before >= 0 and data[before] == 0xFF:
            size, before = size + 0xFF, before - 1
        end = min(at + min(size, MAX_SIZE), len(data))
        place = at + len(UUID)
        while place < end:
            if data[place : place + 3] == b"\0\0\3":
                place, end = place + 3, min(end + 1, len(data))
            else:
                yield place
                place += 1
        at = data.find(UUID + NAME, max(place, at + 1))
