"""The tags of MP3, AAC, WAV and FLAC files: title, artist, pictures, comments, places.

They are overwritten in place, or cut off where they are last. What programs say of themselves stays.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from services.media.processing.sandbox.formats.ogg import comments_of

ID3_HEADER, ID3_FOOTER_FLAG = 10, 0x10
ID3_TECHNICAL = {b"TSSE", b"TLEN", b"TENC"}
PLAYED_CHUNKS = (b"fmt ", b"data", b"fact", b"cue ", b"smpl", b"inst", b"PEAK", b"JUNK", b"PAD ", b"FLLR", b"ds64")
FLAC_PADDING, FLAC_COMMENT, FLAC_TELLING = 1, 4, (2, 5, 6)  # application, cue sheet, picture
LAST_BLOCK = 0x80
ZEROS = bytes(65_536)


def strip_mpeg(path: Path) -> bool:
    """ID3v2 at the beginning; ID3v1, APE, Lyrics3 and ID3v2 at the end. Returns whether there were any."""
    with path.open("r+b") as file:
        changed, at = False, 0
        while size := _id3_size(head := _read(file, at, ID3_HEADER)):
            content = _read(file, at + ID3_HEADER, size)
            if content.strip(b"\0") and not _is_technical(content, head[3]):
                file.seek(at)
                file.write(head[:5] + b"\0" + _synchsafe(size) + bytes(size))
                changed = True
            at += ID3_HEADER + size
        begins, end = at, path.stat().st_size
        while end > begins and (size := _size_of_last_tag(file, end)):
            end = max(end - size, begins)
        if end < path.stat().st_size:
            file.truncate(end)
            changed = True
    return changed


def is_adts(path: Path) -> bool:
    """Whether AAC follows the ID3v2 tags at the beginning (the sync word and layer of ISO/IEC 13818-7)."""
    with path.open("rb") as file:
        at = 0
        while size := _id3_size(_read(file, at, ID3_HEADER)):
            at += ID3_HEADER + size
        sync = _read(file, at, 2)
    return len(sync) == 2 and sync[0] == 0xFF and sync[1] & 0xF6 == 0xF0


def _id3_size(head: bytes) -> int:
    """Returns the number of bytes after the header of an ID3v2 tag, with its footer; 0 if there is no tag."""
    if head[:3] not in (b"ID3", b"3DI") or len(head) < ID3_HEADER or max(head[6:10]) > 0x7F:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + (ID3_HEADER if head[5] & ID3_FOOTER_FLAG else 0)


def _synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _is_technical(content: bytes, version: int) -> bool:
    """Whether all its frames (ID3v2.3 and 2.4) are."""
    at = 0
    while content[at : at + 1].strip(b"\0"):
        if content[at : at + 4] not in ID3_TECHNICAL:
            return False
        size = content[at + 4 : at + 8]
        at += 10 + (int.from_bytes(size) if version == 3 else _id3_size(b"ID3\4\0\0" + size))
    return True


def _size_of_last_tag(file: BinaryIO, end: int) -> int:
    """0 if the file ends with sound."""
    tail = _read(file, max(end - 128, 0), min(end, 128))
    if tail[:3] == b"TAG" and len(tail) == 128:
        extended = _read(file, max(end - 355, 0), 4) == b"TAG+"
        return 355 if extended else 128
    if tail[-32:-24] == b"APETAGEX":
        size, _, flags = struct.unpack("<III", tail[-20:-8])
        return int(size) + (32 if flags & 0x80000000 else 0)
    if tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        return int(tail[-15:-9]) + 15
    if tail[-10:-7] == b"3DI" and (size := _id3_size(tail[-10:])):
        return int(size) + ID3_HEADER
    return 0


def strip_wave(path: Path) -> bool:
    """Every chunk that no player needs. Returns whether there were any."""
    found = []
    with path.open("r+b") as file:
        at, end = 12, path.stat().st_size
        while at + 8 <= end:
            kind, size = struct.unpack("<4sI", _read(file, at, 8))
            if kind not in PLAYED_CHUNKS and not _is_only_the_program(_read(file, at + 8, min(size, 4_096)), kind):
                found.append((at, min(size, end - at - 8)))
            at += 8 + size + size % 2
        for start, size in found:
            file.seek(start)
            file.write(b"JUNK")
            _blank(file, start + 8, size)
    return bool(found)


def _is_only_the_program(content: bytes, kind: bytes) -> bool:
    if kind != b"LIST" or content[:8] != b"INFOISFT" or len(content) < 12:
        return False
    (size,) = struct.unpack_from("<I", content, 8)
    return not content[12 + size :].strip(b"\0")


def strip_flac(path: Path) -> bool:
    """Comments, pictures, cue sheets and what applications store. Returns whether there were any."""
    changed = False
    with path.open("r+b") as file:
        for at, kind, size in list(_flac_blocks(file)):
            telling = kind in FLAC_TELLING or (kind == FLAC_COMMENT and _has_words(_read(file, at + 4, size)))
            if telling:
                (first,) = _read(file, at, 1)
                file.seek(at)
                file.write(bytes([first & LAST_BLOCK | FLAC_PADDING]))
                _blank(file, at + 4, size)
                changed = True
    return changed


def _flac_blocks(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Offset, type and size of each metadata block."""
    at, head = 4, b""
    while len(head := _read(file, at, 4)) == 4:
        yield at, head[0] & ~LAST_BLOCK, int.from_bytes(head[1:])
        if head[0] & LAST_BLOCK:
            return
        at += 4 + int.from_bytes(head[1:])


def _has_words(block: bytes) -> bool:
    comments = (block[begins:ends] for begins, ends in comments_of(block))
    return not all(comment.upper().startswith(b"ENCODER=") for comment in comments)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _blank(file: BinaryIO, at: int, size: int) -> None:
    file.seek(0, os.SEEK_END)
    size = min(size, file.tell() - at)
    file.seek(at)
    while size > 0:
        size -= file.write(ZEROS[:size])
