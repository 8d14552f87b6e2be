"""Reads the elements of a Matroska or WebM file (RFC 9559) that matter here: the index, and personal metadata."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

EBML, SEGMENT, CLUSTER, CUES = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1C53BB6B
TAGS, TAG, SIMPLE_TAG, TAG_NAME, ATTACHMENTS = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x1941A469
INFO, TITLE, FILENAME = 0x1549A966, 0x7BA9, 0x7384
TRACKS, TRACK, TRACK_NAME = 0x1654AE6B, 0xAE, 0x536E
MASTERS = (SEGMENT, INFO, TRACKS, TRACK, TAG, SIMPLE_TAG)
TELLING = (TAGS, ATTACHMENTS, TITLE, FILENAME, TRACK_NAME)
TECHNICAL = ("ENCODER", "DURATION", "BPS", "NUMBER_OF_", "_STATISTICS_", "ENCODER_OPTIONS")
VOID = 0xEC
MAX_TAGS = 16 * 1_048_576


class Element(NamedTuple):
    id: int
    start: int
    content: int  # offset
    size: int | None  # of the content; None: unknown, the children follow


def walk(file: BinaryIO, end: int, at: int = 0) -> Iterator[Element]:
    """Yields the elements between `at` and `end`. Segments, tags and elements of unknown size are entered; their
    children follow them."""
    while at < end:
        file.seek(at)
        head = file.read(12)
        id_length, size_length = _length(head[:1]), 0
        if id_length <= 4:
            size_length = _length(head[id_length : id_length + 1])
        if not size_length or id_length > 4 or id_length + size_length > len(head):
            return
        id = int.from_bytes(head[:id_length])
        coded = int.from_bytes(head[id_length : id_length + size_length]) & ((1 << 7 * size_length) - 1)
        size = None if coded == (1 << 7 * size_length) - 1 else coded
        content = at + id_length + size_length
        yield Element(id, at, content, size)
        at = content if size is None or id in MASTERS else content + size


def _length(first: bytes) -> int:
    """How many bytes a number has, by its first byte; 9: not a number."""
    return 9 - first[0].bit_length() if first else 9


def is_seekable(path: Path) -> bool:
    """Whether the file has an index (Cues)."""
    with path.open("rb") as file:
        return any(element.id == CUES for element in walk(file, path.stat().st_size))


def strip(path: Path) -> bool:
    """Overwrites tags, attachments, titles and names of tracks in place, unless they are only technical. Returns
    whether any were overwritten."""
    end = path.stat().st_size
    with path.open("r+b") as file:
        telling = (element for element in walk(file, end) if element.id in TELLING)
        found = [element for element in telling if not _is_technical(file, element)]
        for element in found:
            stop = min(element.content + (element.size or 0), end)
            width = min(8, element.content - element.start - 1)
            size = stop - element.start - 1 - width
            file.seek(element.start)
            file.write(bytes([VOID]) + ((1 << 7 * width) | size).to_bytes(width))
            for _ in range(0, size, MAX_TAGS):
                file.write(bytes(min(stop - file.tell(), MAX_TAGS)))
    return bool(found)


def _is_technical(file: BinaryIO, element: Element) -> bool:
    if element.id != TAGS or element.size is None or element.size > MAX_TAGS:
        return False
    for inner in walk(file, element.content + element.size, element.content):
        if inner.id == TAG_NAME:
            file.seek(inner.content)
            name = file.read(min(inner.size or 0, 200)).decode("utf-8", "replace")
            if not name.upper().startswith(TECHNICAL):
                return False
    return True
