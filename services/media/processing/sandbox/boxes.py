"""The outer boxes of an MP4 or QuickTime file (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.media.processing.sandbox.limits import Refused

MAX_BOXES = 100_000


class Box(NamedTuple):
    kind: bytes
    start: int
    size: int


def walk(path: Path) -> Iterator[Box]:
    """Raises Refused for a box that goes beyond the end."""
    end, at, count = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while end - at >= 8:
            file.seek(at)
            head = file.read(16)
            size, kind = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                (size,) = struct.unpack(">Q", head[8:])
            elif size == 0:
                size = end - at
            count += 1
            if size < 8 or not kind.isascii() or count > MAX_BOXES:
                raise Refused("TYPE", "goes on after the recording")
            if at + size > end:
                raise Refused("BROKEN", "cut short")
            yield Box(kind, at, size)
            at += size


def check(path: Path) -> None:
    """Raises Refused."""
    if not {b"moov", b"moof"} & {box.kind for box in walk(path)}:
        raise Refused("BROKEN", "no index")


def starts_fast(path: Path) -> bool:
    """Whether a player finds the index before the pictures."""
    kinds = [box.kind for box in walk(path)]
    return b"mdat" not in kinds or (b"moov" in kinds and kinds.index(b"moov") < kinds.index(b"mdat"))
