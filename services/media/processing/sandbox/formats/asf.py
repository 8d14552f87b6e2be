"""Metadata in the header of a Windows Media file (Advanced Systems Format, revision 1.20)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from services.media.processing.sandbox.limits import Refused

PROPERTIES, CONTENT, EXTENDED, METADATA, LIBRARY, EXTENSION, PADDING = (
    UUID(guid).bytes_le
    for guid in (
        "8cabdca1-a947-11cf-8ee4-00c00c205365",
        "75b22633-668e-11cf-a6d9-00aa0062ce6c",
        "d2d0a440-e307-11d2-97f0-00a0c95ea850",
        "c5f8cbea-5baf-4877-8467-aa8c44fa4cca",
        "44231c94-9498-49d1-a141-1d134e457054",
        "5fbf03b5-a92e-11cf-8ee3-00c00c205365",
        "1806d474-cadf-4509-a4ba-9aabcb96aae8",
    )
)
TECHNICAL = {"WM/EncodingSettings", "WMFSDKVersion", "WMFSDKNeeded", "IsVBR", "AspectRatioX", "AspectRatioY"}
HEADER, EXTENSION_HEADER = 30, 46  # bytes before the objects inside
MAX_HEADER = 64 * 1_048_576
FILE_SIZE, FLAGS = 40, 88  # where these are in the file's properties
BROADCAST = 0x1  # a flag: the size is not known


def check(path: Path) -> None:
    """Raises Refused for a file that is smaller than it says."""
    with path.open("rb") as file:
        header = _read_header(file)
    for start, end in _objects(header, HEADER, len(header)):
        if header[start : start + 16] == PROPERTIES and end - start >= FLAGS + 4:
            (size,) = struct.unpack_from("<Q", header, start + FILE_SIZE)
            (flags,) = struct.unpack_from("<I", header, start + FLAGS)
            if not flags & BROADCAST and size > path.stat().st_size:
                raise Refused("TRUNCATED", "cut short")


def _read_header(file: BinaryIO) -> bytearray:
    (size,) = struct.unpack_from("<Q", file.read(HEADER).ljust(HEADER, b"\0"), 16)
    file.seek(0)
    return bytearray(file.read(min(size, MAX_HEADER)))


def strip(path: Path) -> bool:
    """Turns objects that are not only technical into padding. Returns whether there were any."""
    with path.open("r+b") as file:
        header = _read_header(file)
        telling = [(start, end) for start, end in _objects(header, HEADER, len(header)) if _tells(header, start, end)]
        for start, end in telling:
            header[start : start + 16] = PADDING
            header[start + 24 : end] = bytes(end - start - 24)
        file.seek(0)
        file.write(header)
    return bool(telling)


def _objects(header: bytearray, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields where each object begins and ends, including those in the header extension."""
    while at + 24 <= end:
        (size,) = struct.unpack_from("<Q", header, at + 16)
        if size < 24 or at + size > end:
            return
        if header[at : at + 16] == EXTENSION:
            yield from _objects(header, at + EXTENSION_HEADER, at + size)
        else:
            yield at, at + size
        at += size


def _tells(header: bytearray, start: int, end: int) -> bool:
    kind, content = bytes(header[start : start + 16]), bytes(header[start + 24 : end])
    if kind == CONTENT:
        return bool(content.strip(b"\0"))
    try:
        names = {EXTENDED: _extended_names, METADATA: _metadata_names, LIBRARY: _metadata_names}[kind](content)
        return not set(names) <= TECHNICAL
    except KeyError:
        return False
    except struct.error:
        return True


def _extended_names(content: bytes) -> Iterator[str]:
    (count,), at = struct.unpack_from("<H", content), 2
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, at)
        yield _name(content, at + 2, length)
        (size,) = struct.unpack_from("<H", content, at + 4 + length)
        at += 6 + length + size


def _metadata_names(content: bytes) -> Iterator[str]:
    (count,), at = struct.unpack_from("<H", content), 2
    for _ in range(count):
        _, _, length, _, size = struct.unpack_from("<HHHHI", content, at)
        yield _name(content, at + 12, length)
        at += 12 + length + size


def _name(content: bytes, at: int, length: int) -> str:
    return content[at : at + length].decode("utf-16-le", "replace").rstrip("\0")
