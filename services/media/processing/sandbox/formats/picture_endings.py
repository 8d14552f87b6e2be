"""Where the file of a picture has to end, and whether it ends before."""

import struct
from typing import Literal

from services.media.processing.sandbox.formats.picture_metadata import colours_of_gif
from services.media.processing.sandbox.limits import Refused

BOXES = {b"ftyp", b"meta", b"moov", b"mdat", b"idat", b"free", b"skip", b"JXL ", b"jxlc", b"jxlp", b"Exif", b"xml "}
MAX_PAGES = 1_000
ROOM_AFTER = 4_096  # bytes in which a container of JPEG 2000 may say more after the pixels
CUT_SHORT = ("truncated", "unexpected end of file")  # what the libraries say of it


def check(data: bytes, format: str) -> None:
    """Raises Refused if the file does not end where the picture ends."""
    # JPEGs are left out: phones append the film of a motion photo.
    end = END[format](data) if format in END else len(data)
    if end > len(data):
        raise Refused("TRUNCATED", "cut short")
    if data[end:].strip(b"\0"):
        raise Refused("TYPE", "goes on after the image")


def is_cut_short(error: Exception, data: bytes, format: str) -> bool:
    """Whether a picture could not be decoded, with this error, because the file ends before the picture does."""
    if any(words in str(error).lower() for words in CUT_SHORT):
        return True
    if format == "JPEG":
        return not data.rstrip(b"\0").endswith(b"\xff\xd9")
    if format == "PNG" and data[12:16] != b"IHDR":
        return False  # nothing but its first bytes are those of a picture
    stated = STATED.get(format, END.get(format))
    return stated is not None and stated(data) > len(data)


def _end_of_png(data: bytes) -> int:
    at, kind = 8, b""
    while kind != b"IEND" and at + 8 <= len(data):
        (size,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        at += size + 12
    return at if kind == b"IEND" else len(data) + 1


def _end_of_webp(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8 + size % 2 if size + 8 != len(data) else len(data)


def _end_of_gif(data: bytes) -> int:
    """The offset after the trailer. The blocks before it are skipped by their lengths."""
    try:
        at = 13 + colours_of_gif(data[10])
        while data[at] != 0x3B:
            if data[at] == 0x21:
                at += 2
            elif data[at] == 0x2C:
                at += 11 + colours_of_gif(data[at + 9])
            else:
                raise Refused("BROKEN", "no GIF block")
            while data[at]:
                at += data[at] + 1
            at += 1
    except IndexError:
        return len(data) + 1
    return at + 1


def _end_of_bitmap(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 2)
    return int(size)


def _end_of_boxes(data: bytes) -> int:
    """Of HEIF, AVIF, and JPEG XL in a container (ISO/IEC 14496-12); a bare JPEG XL does not tell."""
    if data[:2] == b"\xff\x0a":
        return len(data)
    at = 0
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] not in BOXES:
            return len(data)
        size = int.from_bytes(data[at : at + 4])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        at += len(data) - at if size == 0 else max(size, 8)
    return at


def _end_of_tiff(data: bytes) -> int:
    """The farthest end of its directories, which many programs write after the pixels (TIFF 6.0)."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    end, at = 8, int.from_bytes(data[4:8], order)
    for _ in range(MAX_PAGES):
        end = max(end, at + 2)
        if not at or end > len(data):
            break
        end = max(end, at + 6 + 12 * int.from_bytes(data[at : at + 2], order))
        at = int.from_bytes(data[end - 4 : end], order)
    return end


def _end_of_codestream(data: bytes) -> int:
    """Of JPEG 2000, whose last marker is that of its end (ISO/IEC 15444-1, A.4.4)."""
    return len(data) + (b"\xff\xd9" not in data[-ROOM_AFTER:])


def _end_of_icon(data: bytes) -> int:
    """The farthest end of its pictures, which its directory lists."""
    entries = (data[6 + 16 * number : 22 + 16 * number] for number in range(int.from_bytes(data[4:6], "little")))
    return max((sum(struct.unpack("<II", entry[8:])) for entry in entries if len(entry) == 16), default=len(data) + 1)


END = {"PNG": _end_of_png, "WEBP": _end_of_webp, "GIF": _end_of_gif}
STATED = {
    "BMP": _end_of_bitmap,
    "HEIF": _end_of_boxes,
    "AVIF": _end_of_boxes,
    "JXL": _end_of_boxes,
    "TIFF": _end_of_tiff,
    "JPEG2000": _end_of_codestream,
    "ICO": _end_of_icon,
}
