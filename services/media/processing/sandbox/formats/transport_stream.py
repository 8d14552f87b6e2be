"""Metadata in a transport stream (ITU-T H.222.0): names, positions and texts beside video and audio."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import av

from services.media.processing.sandbox.formats import camcorder
from services.media.processing.sandbox.limits import Refused

PACKET, TIMED = 188, 192  # bytes; cameras write 4 more before each packet (M2TS)
SYNC = 0x47
PROGRAMS, NOTHING = 0, 0x1FFF  # packet identifiers: the program association table, null packets
EMPTY = bytes([SYNC, NOTHING >> 8, NOTHING & 0xFF, 0x10]) + b"\xff" * (PACKET - 4)
NAMELESS = b"FFmpeg\x09Service01"  # FFmpeg's description of a service without a name
WINDOW = 8 * 1_048_576  # bytes of video that are searched at once
OVERLAP = camcorder.MAX_SIZE


def strip(path: Path) -> bool:
    """Turns packets of streams that nobody plays into null packets. Returns whether there were any."""
    with av.open(str(path), format="mpegts") as container:
        kinds = {stream.id: stream.type for stream in container.streams}
    kept = {PROGRAMS, NOTHING} | {id for id, kind in kinds.items() if kind in ("video", "audio")}
    changed = False
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        for at in _packets(data):
            id = _id(data, at)
            if id == PROGRAMS:
                kept |= _indexes(data[at : at + PACKET])
            elif id not in kept and data[at + 3] & 0x10 and NAMELESS not in data[at : at + PACKET]:
                data[at : at + PACKET] = EMPTY
                changed = True
        if data.find(camcorder.NAME) >= 0:
            for id in (id for id, kind in kinds.items() if kind == "video"):
                changed |= _strip_pictures(data, id)
    return changed


def check(path: Path) -> None:
    """Raises Refused if the file ends within a packet, as one does that was not sent to its end."""
    with path.open("rb") as file:
        head = file.read(2 * TIMED)
        size = path.stat().st_size
        first = next((at for at in (0, TIMED - PACKET) if head[at] == SYNC), 0)
        step = TIMED if first or head[PACKET] != SYNC else PACKET
        over = size % step
        file.seek(size - over + first)
        if over and file.read(1) in (bytes([SYNC]), b""):
            raise Refused("TRUNCATED", "cut short")


def _packets(data: mmap.mmap) -> Iterator[int]:
    """Yields the offset of each packet. Where one is missing, continues with the next one found."""
    end = len(data)
    at = next((at for at in (0, TIMED - PACKET) if data[at] == SYNC), 0)
    step = TIMED if at or (end > PACKET and data[PACKET] != SYNC) else PACKET
    while 0 <= at <= end - PACKET:
        if data[at] == SYNC:
            yield at
            at += step
        else:
            at = data.find(bytes([SYNC]), at + 1)


def _id(data: mmap.mmap, at: int) -> int:
    return (data[at + 1] & 0x1F) << 8 | data[at + 2]


def _indexes(packet: bytes) -> set[int]:
    """Yields the packet identifiers of the program map tables that a program association table lists (2.4.4.3)."""
    if not packet[1] & 0x40:
        return set()
    start = _payload(packet)
    table = packet[start + 1 + packet[start] :] if start < PACKET else b""
    length = int.from_bytes(table[1:3]) & 0xFFF
    entries = table[8 : 3 + length - 4]
    return {int.from_bytes(entries[at + 2 : at + 4]) & 0x1FFF for at in range(0, len(entries) - 3, 4)}


def _payload(packet: bytes) -> int:
    return 5 + packet[4] if packet[3] & 0x20 else 4


def _strip_pictures(data: mmap.mmap, id: int) -> bool:
    changed, held, places = False, bytearray(), list[tuple[int, int]]()
    for at in _packets(data):
        if _id(data, at) != id or not data[at + 3] & 0x10:
            continue
        start = at + _payload(data[at : at + PACKET])
        places.append((len(held), start))
        held += data[start : at + PACKET]
        if len(held) >= WINDOW:
            changed |= _overwrite(data, held, places)
            kept = next((n for n, (begins, _) in enumerate(places) if begins >= len(held) - OVERLAP), len(places))
            first = places[kept][0] if kept < len(places) else len(held)
            places = [(begins - first, start) for begins, start in places[kept:]]
            del held[:first]
    return _overwrite(data, held, places) or changed


def _overwrite(data: mmap.mmap, held: bytearray, places: list[tuple[int, int]]) -> bool:
    """`places`: the offsets of each stretch, in the buffer and in the file."""
    piece, changed = 0, False
    for found in list(camcorder.find(held)):
        while piece + 1 < len(places) and places[piece + 1][0] <= found:
            piece += 1
        begins, start = places[piece]
        data[start + found - begins] = held[found] = 0xFF
        changed = True
    return changed
