"""Metadata about places, devices and people in MP4 and QuickTime files (ISO/IEC 14496-12, QuickTime File Format).

It is overwritten in place: nothing moves, so no index has to be rewritten.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from services.media.processing.sandbox.formats import boxes, mp4_fragments
from services.media.processing.sandbox.formats.boxes import Inner, find, inside, root

OUTER = {b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"free", b"wide", b"skip", b"pdin"}
OUTER |= {b"prft", b"pssh"}
SPACE = {b"free", b"skip", b"wide"}  # free space, in which some programs store metadata
SHORT = 32  # bytes: too few to hold any metadata
USER_DATA = {b"kind", b"ludt", b"name", b"chpl", b"hnti", b"hinf", b"free", b"LOOP", b"AllF", b"SelO"}
PLAYED = {b"vide", b"soun", b"tmcd"}
TEXT = {b"text", b"sbtl", b"subt"}
TELLS = re.compile(rb"gps|latitude|longitude|[+-]\d{2}\.\d+[+-]\d{3}\.\d+", re.IGNORECASE)
PLAIN_HANDLER = re.compile(  # what common programs write, which tells of no device
    rb"[\0-\x1f]?((video|sound|data|subtitle|text|timecode)handler?|(core media|apple|gpac|iso) [ a-z.]+)?\0*",
    re.IGNORECASE,
)
PLAIN_COMPRESSOR = re.compile(
    rb"[\0-\x1f]?(lav[cf][- \w.]*|(avc|hevc|vpc|aom) coding|h\.26[345]|[\w ]*prores[ \w]*)?\0*", re.IGNORECASE
)
COMPRESSOR = slice(42, 74)  # of an entry of `stsd` for pictures
MAX_SAMPLES = 2_000_000
PIECE = 1_048_576


def strip(path: Path) -> bool:
    """Returns whether the file had any. Raises Refused."""
    changed = False
    gone: dict[int, int] = {}  # the removed tracks, with the bytes of their samples
    with path.open("r+b") as file:
        for box in list(boxes.walk(path)):
            if box.kind in (b"moov", b"moof") and box.size <= boxes.MAX_INDEX:
                file.seek(box.start)
                before = file.read(box.size)
                index = bytearray(before)
                if box.kind == b"moov":
                    gone |= _strip_index(index, file)
                else:
                    _strip_fragment(index, box.start, file, gone)
                if index != before:
                    file.seek(box.start)
                    file.write(index)
                    changed = True
            elif box.kind not in OUTER or (box.kind in SPACE and box.size > SHORT and not _is_blank(file, box)):
                content = _content(file, box)
                file.seek(box.start + 4)
                file.write(b"free")
                _blank(file, content, box.start + box.size)
                changed = True
    return changed


def _strip_index(index: bytearray, file: BinaryIO) -> dict[int, int]:
    """Returns the tracks that were removed, with the size of their samples in fragments that do not state it."""
    movie = root(index)
    sizes = mp4_fragments.default_sizes(index, movie)
    gone = {}
    for inner in inside(index, movie):
        if inner.kind == b"udta":
            _strip_user_data(index, inner)
        elif inner.kind == b"meta":
            _strip_meta(index, inner)
        elif inner.kind == b"trak":
            id = mp4_fragments.id_of(index, inner)
            if _strip_track(index, inner, file, is_fragmented=bool(sizes)):
                gone[id] = sizes.get(id, 0)
    return gone


def _strip_fragment(index: bytearray, start: int, file: BinaryIO, gone: dict[int, int]) -> None:
    for id, track in list(mp4_fragments.tracks_of(index)):
        if id in gone:
            for place, size in mp4_fragments.samples(index, start, track, gone[id]):
                _blank(file, place, place + size)
            _free(index, track)


def _strip_user_data(index: bytearray, box: Inner) -> None:
    for inner in inside(index, box):
        if inner.kind == b"meta":
            _strip_meta(index, inner)
        elif inner.kind not in USER_DATA and not (
            inner.kind == b"\xa9swr" and b"Lavf" in index[inner.start : inner.end]
        ):
            _free(index, inner)


def _strip_meta(index: bytearray, box: Inner) -> None:
    """Overwrites the whole box, unless it only names the program that wrote the file."""
    full = index[box.content + 4 : box.content + 8] != b"hdlr"  # QuickTime's box has no version field
    items = [
        item
        for inner in inside(index, box._replace(content=box.content + (4 if full else 0)))
        if inner.kind == b"ilst"
        for item in inside(index, inner)
    ]
    if any(item.kind != b"\xa9too" for item in items) or find(index, box, b"keys"):
        _free(index, box)


def _strip_track(index: bytearray, track: Inner, file: BinaryIO, is_fragmented: bool) -> bool:
    """Returns whether the track was removed. The texts of a fragmented track are not read: the track goes."""
    for inner in inside(index, track):
        if inner.kind == b"udta":
            _strip_user_data(index, inner)
        elif inner.kind == b"meta":
            _strip_meta(index, inner)
    media = find(index, track, b"mdia")
    if media:
        _blank_names(index, media)
    handler = find(index, media, b"hdlr") if media else None
    kind = bytes(index[handler.content + 8 : handler.content + 12]) if handler else b""
    if not media or kind in PLAYED:
        return False
    spans = list(_samples(index, media))
    if kind in TEXT and not is_fragmented and not any(TELLS.search(_read(file, *span)) for span in spans):
        return False
    for start, size in spans:
        _blank(file, start, start + size)
    _free(index, track)
    return True


def _blank_names(index: bytearray, media: Inner) -> None:
    """Empties the names of handlers and compressors in which cameras put their own ("GoPro AVC encoder")."""
    info = find(index, media, b"minf")
    for handler in filter(None, (find(index, box, b"hdlr") for box in (media, info) if box)):
        _blank_name(index, slice(handler.content + 24, handler.end), PLAIN_HANDLER)
    table = find(index, info, b"stbl") if info else None
    described = find(index, table, b"stsd") if table else None
    if info and described and find(index, info, b"vmhd"):
        for entry in inside(index, described._replace(content=described.content + 8)):
            name = slice(entry.content + COMPRESSOR.start, entry.content + COMPRESSOR.stop)
            if name.stop <= entry.end:
                _blank_name(index, name, PLAIN_COMPRESSOR)


def _blank_name(index: bytearray, name: slice, plain: re.Pattern[bytes]) -> None:
    if not plain.fullmatch(index[name]):
        index[name] = bytes(len(index[name]))


def _samples(index: bytearray, media: Inner) -> Iterator[tuple[int, int]]:
    """Yields the offset and size of each sample of a track."""
    info = find(index, media, b"minf")
    table = find(index, info, b"stbl") if info else None
    if not table:
        return
    sizes, chunks, runs = (find(index, table, kind) for kind in (b"stsz", b"stco", b"stsc"))
    wide = find(index, table, b"co64")
    if not sizes or not runs or not (chunks or wide):
        return
    common, count = struct.unpack_from(">II", index, sizes.content + 4)
    count = min(count, MAX_SAMPLES)
    lengths = [common] * count if common else struct.unpack_from(f">{count}I", index, sizes.content + 12)
    places = wide or chunks
    (number,) = struct.unpack_from(">I", index, places.content + 4)  # type: ignore[union-attr]
    form = f">{min(number, MAX_SAMPLES)}{'Q' if wide else 'I'}"
    starts = struct.unpack_from(form, index, places.content + 8)  # type: ignore[union-attr]
    (number,) = struct.unpack_from(">I", index, runs.content + 4)
    spread = [struct.unpack_from(">III", index, runs.content + 8 + 12 * n)[:2] for n in range(min(number, MAX_SAMPLES))]
    at = run = 0
    for chunk, start in enumerate(starts, 1):
        while run + 1 < len(spread) and spread[run + 1][0] <= chunk:
            run += 1
        for length in lengths[at : at + spread[run][1]]:
            yield start, length
            start += length
        at += spread[run][1]


def _free(index: bytearray, box: Inner) -> None:
    index[box.start + 4 : box.start + 8] = b"free"
    index[box.content : box.end] = bytes(box.end - box.content)


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(min(size, PIECE))


def _is_blank(file: BinaryIO, box: boxes.Box) -> bool:
    pieces = range(_content(file, box), box.start + box.size, PIECE)
    return not any(_read(file, at, box.start + box.size - at).strip(b"\0") for at in pieces)


def _content(file: BinaryIO, box: boxes.Box) -> int:
    """Where it begins: later if the size takes eight bytes more."""
    return box.start + (16 if _read(file, box.start, 4) == b"\0\0\0\1" else 8)


def _blank(file: BinaryIO, start: int, end: int) -> None:
    file.seek(0, 2)
    end = min(end, file.tell())
    file.seek(start)
    while file.tell() < end:
        file.write(bytes(min(end - file.tell(), PIECE)))
