"""The boxes of an MP4 or QuickTime file (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from services.media.processing.sandbox.limits import Refused

MAX_BOXES = 100_000
MAX_INDEX = 256 * 1_048_576  # bytes of the largest `moov` that is read
ENCRYPTED = {b"encv", b"enca", b"drms", b"drmi"}  # entries of `stsd`


class Box(NamedTuple):
    kind: bytes
    start: int
    size: int


def walk(path: Path) -> Iterator[Box]:
    """Yields the outer boxes of the file. Raises Refused if a box goes beyond its end."""
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
                raise Refused("TRUNCATED", "cut short")
            yield Box(kind, at, size)
            at += size


def check(path: Path) -> None:
    """Raises Refused if the file has no index, is cut short or is encrypted."""
    found = list(walk(path))
    if not {b"moov", b"moof"} & {box.kind for box in found}:
        raise Refused("TRUNCATED", "no index")
    if any(is_encrypted(index) for index in _indexes(path, found)):
        raise Refused("ENCRYPTED", "encrypted")


def starts_fast(path: Path) -> bool:
    """Whether the index comes before the media data and covers all of it, so that playback can start at once."""
    kinds = [box.kind for box in walk(path)]
    return b"moof" not in kinds and b"moov" in kinds and kinds.index(b"moov") < kinds.index(b"mdat")


def is_encrypted(index: bytes) -> bool:
    """Whether any track in this `moov` box is encrypted."""
    for track in inside(index, root(index)):
        place: Inner | None = track
        for kind in (b"mdia", b"minf", b"stbl", b"stsd"):
            place = place and find(index, place, kind)
        if place and any(entry.kind in ENCRYPTED for entry in inside(index, place._replace(content=place.content + 8))):
            return True
    return False


def _indexes(path: Path, found: Sequence[Box]) -> Iterator[bytes]:
    with path.open("rb") as file:
        for box in found:
            if box.kind == b"moov" and box.size <= MAX_INDEX:
                file.seek(box.start)
                yield file.read(box.size)


class Inner(NamedTuple):
    """A box within a box. Offsets count from the start of the outermost box."""

    kind: bytes
    start: int
    content: int
    end: int


def root(index: bytes | bytearray) -> Inner:
    """The `moov` box that `index` holds."""
    return Inner(b"moov", 0, 16 if index[:4] == b"\0\0\0\1" else 8, len(index))


def find(index: bytes | bytearray, box: Inner, kind: bytes) -> Inner | None:
    """The first box of this kind directly inside `box`."""
    if box.kind == b"meta" and index[box.content + 4 : box.content + 8] != b"hdlr":
        box = box._replace(content=box.content + 4)
    return next((inner for inner in inside(index, box) if inner.kind == kind), None)


def inside(index: bytes | bytearray, box: Inner) -> Iterator[Inner]:
    """Yields the boxes directly inside `box`. Stops at a malformed one."""
    at = box.content
    while box.end - at >= 8:
        size, kind = struct.unpack_from(">I4s", index, at)
        content = at + 8
        if size == 1 and box.end - at >= 16:
            (size,) = struct.unpack_from(">Q", index, content)
            content += 8
        elif size == 0:
            size = box.end - at
        if size < content - at or at + size > box.end:
            return
        yield Inner(kind, at, content, at + size)
        at += size
