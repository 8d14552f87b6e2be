"""Finds the samples of a fragmented MP4's tracks (ISO/IEC 14496-12, 8.8)."""

import struct
from collections.abc import Iterator

from services.media.processing.sandbox.formats.boxes import Inner, find, inside

BASE, DESCRIPTION, DURATION, SIZE, FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20  # flags of a `tfhd`: which fields it has
OFFSET, FIRST_FLAGS = 0x1, 0x4  # flags of a `trun`
SAMPLE_FIELDS = (
    0x100,
    0x200,
    0x400,
    0x800,
)  # flags of a `trun` for fields of each sample: duration, size, flags, shift
SAMPLE_SIZE = 0x200
MAX_SAMPLES = 2_000_000


def id_of(index: bytes | bytearray, track: Inner) -> int:
    """The id of a track, from its `tkhd`; 0 if it has none."""
    header = find(index, track, b"tkhd")
    return int(_number(index, header.content + (20 if index[header.content] else 12))) if header else 0


def default_sizes(index: bytes | bytearray, movie: Inner) -> dict[int, int]:
    """By track: the bytes of a sample if its fragment does not state them."""
    extends = find(index, movie, b"mvex")
    tracks = inside(index, extends) if extends else ()
    return {_number(index, box.content + 4): _number(index, box.content + 16) for box in tracks if box.kind == b"trex"}


def tracks_of(fragment: bytes | bytearray) -> Iterator[tuple[int, Inner]]:
    """The track ids of a `moof`, with their boxes."""
    for box in inside(fragment, Inner(b"moof", 0, 16 if fragment[:4] == b"\0\0\0\1" else 8, len(fragment))):
        header = find(fragment, box, b"tfhd") if box.kind == b"traf" else None
        if header:
            yield _number(fragment, header.content + 4), box


def samples(fragment: bytes | bytearray, start: int, track: Inner, default: int) -> Iterator[tuple[int, int]]:
    """Yields the offset and size of each run of samples of a track. `start` is the offset of the `moof`."""
    header = find(fragment, track, b"tfhd")
    if not header:
        return
    flags, at = _number(fragment, header.content) & 0xFFFFFF, header.content + 8
    base = start
    if flags & BASE:
        (base,), at = struct.unpack_from(">Q", fragment, at), at + 8
    at += 4 * (bool(flags & DESCRIPTION) + bool(flags & DURATION))
    default = _number(fragment, at) if flags & SIZE else default
    place = base
    for run in inside(fragment, track):
        if run.kind == b"trun":
            place, size = _run(fragment, run, base, place, default)
            yield place, size
            place += size


def _run(fragment: bytes | bytearray, run: Inner, base: int, place: int, default: int) -> tuple[int, int]:
    flags, count = _number(fragment, run.content) & 0xFFFFFF, _number(fragment, run.content + 4)
    at, count = run.content + 8, min(count, MAX_SAMPLES)
    if flags & OFFSET:
        (shift,), at = struct.unpack_from(">i", fragment, at), at + 4
        place = base + shift
    at += 4 * bool(flags & FIRST_FLAGS)
    if not flags & SAMPLE_SIZE:
        return place, count * default
    width = 4 * sum(bool(flags & field) for field in SAMPLE_FIELDS)
    at += 4 * bool(flags & SAMPLE_FIELDS[0])
    return place, sum(_number(fragment, at + width * number) for number in range(count))


def _number(data: bytes | bytearray, at: int) -> int:
    found: int = struct.unpack_from(">I", data, at)[0]
    return found
