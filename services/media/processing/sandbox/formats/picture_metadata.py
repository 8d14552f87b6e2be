"""Removes metadata about places, devices and people from a picture. Its colour profile and its pixels stay as they are.

Segments, chunks and blocks with metadata are left out. An AVIF has an index of offsets, so there they are overwritten.
"""

import struct
from collections.abc import Iterator

from services.media.processing.sandbox.formats.boxes import Inner, find, inside
from services.media.processing.sandbox.limits import Refused

PNG_TELLING = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"}
WEBP_TELLING = {b"EXIF": 0x08, b"XMP ": 0x04}  # with their flags in VP8X
START_OF_SCAN, END_OF_IMAGE, COMMENT = 0xDA, 0xD9, 0xFE
EXIF_ITEMS = {b"Exif", b"mime", b"uri "}


def strip(data: bytes, format: str) -> bytes:
    """The bytes without metadata; the same bytes if there was none. Raises Refused if the file is cut short."""
    strippers = {"JPEG": _strip_jpeg, "PNG": _strip_png, "WEBP": _strip_webp, "GIF": _strip_gif, "AVIF": _strip_avif}
    try:
        return strippers[format](data)
    except (struct.error, IndexError):
        raise Refused("TRUNCATED", "cut short") from None


def scans_of_jpeg(data: bytes) -> int:
    """How often decoding goes over the pixels, as far as the segments can be followed."""
    at, scans = 2, 0
    try:
        while data[at] == 0xFF and data[at + 1] != END_OF_IMAGE:
            if data[at + 1] == 0xFF:  # a fill byte
                at += 1
                continue
            (size,) = struct.unpack_from(">H", data, at + 2)
            is_scan = data[at + 1] == START_OF_SCAN
            scans += is_scan
            at = _end_of_scan(data, at + 2 + size) if is_scan else at + 2 + size
    except (struct.error, IndexError, Refused):
        pass  # cut short; the decoder will say so
    return scans


def _strip_jpeg(data: bytes) -> bytes:
    """Drops metadata segments, and what follows the picture, such as the film of a motion photo (ISO/IEC 10918-1,
    B.1)."""
    kept, at = [data[:2]], 2
    while True:
        start = at
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker == END_OF_IMAGE:
            kept.append(data[start : at + 2])
            break
        (size,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + size
        if marker == START_OF_SCAN:
            end = _end_of_scan(data, end)
        if not _tells(marker, data[at + 4 : at + 18]):
            kept.append(data[start:end])
        at = end
    rest = data[at + 2 :]
    return b"".join(kept) + (rest if not rest.strip(b"\0") else b"")


def _tells(marker: int, head: bytes) -> bool:
    """Whether a JPEG segment holds metadata: comments, and all application segments but those that decoders need (JFIF,
    colour profiles, Adobe's)."""
    if marker == COMMENT:
        return True
    needed = {0xE0: b"JF", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
    return 0xE0 <= marker <= 0xEF and not (marker in needed and head.startswith(needed[marker]))


def _end_of_scan(data: bytes, at: int) -> int:
    """The offset of the first marker after the scan data."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise Refused("TRUNCATED", "cut short")
        if data[at + 1] and not 0xD0 <= data[at + 1] <= 0xD7 and data[at + 1] != 0xFF:
            return at
        at += 1 if data[at + 1] == 0xFF else 2


def _strip_png(data: bytes) -> bytes:
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        (size,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        if kind not in PNG_TELLING:
            kept.append(data[at : at + size + 12])
        at += size + 12
    return b"".join([*kept, data[at:]])


def _strip_webp(data: bytes) -> bytes:
    kept, at, flags = [], 12, 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + size % 2
        if kind in WEBP_TELLING:
            flags |= WEBP_TELLING[kind]
        else:
            kept.append(bytearray(data[at:end]))
        at = end
    if not flags:
        return data
    if kept[0][:4] == b"VP8X":
        kept[0][8] &= ~flags
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _strip_gif(data: bytes) -> bytes:
    """Drops comments, and XMP in an application block (GIF89a, 24 and 26)."""
    at = 13 + colours_of_gif(data[10])
    kept = [data[:at]]
    while data[at] != 0x3B:
        start, telling = at, False
        if data[at] == 0x21:
            telling = data[at + 1] == 0xFE or data[at + 3 : at + 14] == b"XMP DataXMP"
            at += 2
        else:
            at += 11 + colours_of_gif(data[at + 9])
        while data[at]:
            at += data[at] + 1
        at += 1
        if not telling:
            kept.append(data[start:at])
    return b"".join([*kept, data[at:]])


def colours_of_gif(flags: int) -> int:
    """The bytes of the colour table that these flags, of a GIF or of one of its images, announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _strip_avif(data: bytes) -> bytes:
    """Overwrites Exif and XMP, which are items of their own (ISO/IEC 23008-12, Annex A)."""
    file = Inner(b"", 0, 0, len(data))
    meta = find(data, file, b"meta")
    info, places = (find(data, meta, kind) if meta else None for kind in (b"iinf", b"iloc"))
    if not meta or not info or not places:
        return data
    telling = dict(_telling_items(data, info))
    stored = find(data, meta, b"idat")
    changed = bytearray(data)
    for kind_at in telling.values():  # else a decoder would try to parse the zeros
        changed[kind_at : kind_at + 4] = b"skip"
    for item, in_meta, start, size in _extents(data, places):
        if item in telling:
            start += stored.content if in_meta and stored else 0
            changed[start : start + size] = bytes(min(size, max(len(data) - start, 0)))
    return bytes(changed)


def _telling_items(data: bytes, info: Inner) -> Iterator[tuple[int, int]]:
    """Yields the id of each metadata item, and the offset of its type."""
    wide = data[info.content] > 0
    for entry in inside(data, info._replace(content=info.content + (8 if wide else 6))):
        version = data[entry.content]
        form, kind = (">H", 8) if version < 3 else (">I", 10)
        (item,) = struct.unpack_from(form, data, entry.content + 4)
        if version >= 2 and data[entry.content + kind : entry.content + kind + 4] in EXIF_ITEMS:
            yield item, entry.content + kind


def _extents(data: bytes, box: Inner) -> Iterator[tuple[int, bool, int, int]]:
    """Yields each extent of each item: item id, whether it lies in the `meta` box, offset, size."""
    version, at = data[box.content], box.content + 6
    offset_size, length_size, base_size = data[at - 2] >> 4, data[at - 2] & 15, data[at - 1] >> 4
    index_size = data[at - 1] & 15 if version else 0

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(data[at - size : at])

    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size)
            offset, length = number(offset_size), number(length_size)
            if method < 2:
                yield item, method == 1, base + offset, length
