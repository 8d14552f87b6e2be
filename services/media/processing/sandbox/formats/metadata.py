"""Removes metadata about places, devices and people from a recording before anybody is served it."""

import struct
from pathlib import Path

from services.media.processing.sandbox.formats import (
    asf,
    camcorder,
    flv,
    matroska,
    mp4_metadata,
    ogg,
    program_stream,
    real_media,
    sound_tags,
    transport_stream,
)

WHOLE_PICTURES = ("mp4", "mov", "matroska", "avi", "flv")  # formats that have each in one piece
TECHNICAL = (b"ISFT",)  # the program that wrote an AVI


def strip_recording(path: Path, format: str) -> bool:
    """Returns whether the file was changed. Raises Refused."""
    strip = {
        "mp4": mp4_metadata.strip,
        "mov": mp4_metadata.strip,
        "matroska": matroska.strip,
        "avi": _strip_riff,
        "mpegts": transport_stream.strip,
        "mpeg": program_stream.strip,
        "rm": real_media.strip,
        "flv": flv.strip,
        "asf": asf.strip,
        "ogg": ogg.strip,
        "mp3": sound_tags.strip_mpeg,
        "aac": sound_tags.strip_mpeg,
        "wav": sound_tags.strip_wave,
        "flac": sound_tags.strip_flac,
    }[format]
    between_pictures = camcorder.strip(path) if format in WHOLE_PICTURES else False
    return strip(path) or between_pictures


def _strip_riff(path: Path) -> bool:
    """Overwrites an AVI's INFO lists, names of streams and Exif in place."""
    found: list[tuple[int, int]] = []
    with path.open("r+b") as file:
        end, at = path.stat().st_size, 0
        while end - at >= 12:
            file.seek(at)
            kind, size, form = struct.unpack("<4sI4s", file.read(12))
            if kind == b"RIFF" or (kind == b"LIST" and form in (b"hdrl", b"strl")):
                at += 12
                continue
            if kind in (b"strd", b"strn", b"IDIT") or (kind == b"LIST" and form in (b"exif", b"INFO")):
                content = file.read(min(size, end - at - 8) - 4)
                if not (form == b"INFO" and _kinds(content) <= set(TECHNICAL)):
                    found.append((at, min(size, end - at - 8)))
            at += 8 + size + size % 2
        for start, size in found:
            file.seek(start)
            file.write(b"JUNK" + struct.pack("<I", size) + bytes(size))
    return bool(found)


def _kinds(content: bytes) -> set[bytes]:
    kinds, at = set(), 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        kinds.add(kind)
        at += 8 + size + size % 2
    return kinds
