"""The comments in an Ogg file (RFC 3533; Vorbis I specification, 5)."""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from services.media.processing.sandbox.limits import Refused

HEADER, CHECKSUM = 27, 22  # bytes of a page's header; offset of its checksum
BEGINS = 0x02  # the flag of a stream's first page
PREFIXES = (b"\x81theora", b"\x03vorbis", b"OpusTags", b"OVP80\x02 ")
FLAC_COMMENT = 4  # type of a FLAC block, followed by three bytes of length
TECHNICAL = (b"ENCODER=", b"-")  # the second marks an overwritten comment
MAX_COMMENTS = 16 * 1_048_576


class Piece(NamedTuple):
    """A piece of a packet, by its place in the file."""

    start: int
    content: bytes


def strip(path: Path) -> bool:
    """Overwrites comments that are not only technical. Returns whether there were any."""
    with path.open("r+b") as file:
        packets = list(_comment_packets(file, path.stat().st_size))
        changed = [(place, size) for packet in packets for place, size in _telling(packet)]
        for place, size in changed:
            file.seek(place)
            file.write(b"-" * size)
        if changed:
            _sign(file, path.stat().st_size, {place for place, _ in changed} | {at + n - 1 for at, n in changed})
    return bool(changed)


def check(path: Path) -> None:
    """Raises Refused if the file ends within a page."""
    with path.open("rb") as file:
        size, end = path.stat().st_size, 0
        for at, _, lengths in _pages(file, size):
            end = at + HEADER + len(lengths) + sum(lengths)
            if end > size:
                raise Refused("TRUNCATED", "cut short")
        file.seek(end)
        if file.read(4) == b"OggS":
            raise Refused("TRUNCATED", "cut short")


def _pages(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yields each page: its offset, its header, and the segment lengths in it."""
    at = 0
    while at + HEADER <= end:
        file.seek(at)
        header = file.read(HEADER)
        if header[:4] != b"OggS":
            return
        lengths = file.read(header[26])
        yield at, header, lengths
        at += HEADER + len(lengths) + sum(lengths)


def _comment_packets(file: BinaryIO, end: int) -> Iterator[list[Piece]]:
    """The second packet of each stream."""
    open_streams: dict[bytes, tuple[int, list[Piece]]] = {}
    for at, header, lengths in _pages(file, end):
        serial, place = header[14:18], at + HEADER + len(lengths)
        if header[5] & BEGINS:
            open_streams[serial] = 0, []
        if serial not in open_streams:
            continue
        number, pieces = open_streams[serial]
        file.seek(place)
        for length in lengths:
            content = file.read(length)
            if number == 1:
                pieces.append(Piece(place, content))
            place += length
            if length < 255:
                number += 1
            if number > 1 or sum(len(piece.content) for piece in pieces) > MAX_COMMENTS:
                yield pieces
                del open_streams[serial]
                break
        else:
            open_streams[serial] = number, pieces


def _telling(pieces: list[Piece]) -> Iterator[tuple[int, int]]:
    """Yields the stretches of the file that hold personal comments."""
    packet = b"".join(piece.content for piece in pieces)
    prefix = next((len(prefix) for prefix in PREFIXES if packet.startswith(prefix)), 0)
    if packet[:1] and packet[0] & 0x7F == FLAC_COMMENT:
        prefix = 4
    for begins, ends in comments_of(packet, prefix):
        if not packet[begins:ends].upper().startswith(TECHNICAL):
            passed = 0
            for start, content in pieces:
                first, last = max(begins - passed, 0), min(ends - passed, len(content))
                if first < last:
                    yield start + first, last - first
                passed += len(content)


def comments_of(packet: bytes, at: int = 0) -> Iterator[tuple[int, int]]:
    """Yields the begin and the end of each comment of a Vorbis comment that begins at `at`."""
    try:
        at += 4 + struct.unpack_from("<I", packet, at)[0]
        (count,) = struct.unpack_from("<I", packet, at)
        at += 4
        for _ in range(count):
            (size,) = struct.unpack_from("<I", packet, at)
            if at + 4 + size > len(packet):
                return
            yield at + 4, at + 4 + size
            at += 4 + size
    except struct.error:
        return


def _sign(file: BinaryIO, end: int, places: set[int]) -> None:
    """Recomputes the checksums of the pages that contain these places."""
    last = max(places)
    for at, _, lengths in _pages(file, end):
        size = HEADER + len(lengths) + sum(lengths)
        if at > last:
            return
        if any(at <= place < at + size for place in places):
            file.seek(at)
            page = bytearray(file.read(size))
            page[CHECKSUM : CHECKSUM + 4] = bytes(4)
            file.seek(at + CHECKSUM)
            file.write(struct.pack("<I", _checksum(page)))


def _checksum(page: bytes | bytearray) -> int:
    table, value = _table(), 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


@cache
def _table() -> list[int]:
    """The CRC table for the polynomial of RFC 3533, 6."""
    found = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        found.append(value)
    return found
