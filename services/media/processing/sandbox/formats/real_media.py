"""Metadata in a RealMedia file: the chunk with its title, author, copyright and comment."""

from pathlib import Path

CONTENTS, DATA = b"CONT", b"DATA"
HEAD = 10  # bytes before a chunk's contents: its kind, size and version


def strip(path: Path) -> bool:
    """Overwrites the texts with spaces, in place. Returns whether there were any."""
    changed = False
    with path.open("r+b") as file:
        end, at = path.stat().st_size, 0
        while at + HEAD <= end:
            file.seek(at)
            head = file.read(HEAD)
            size = max(int.from_bytes(head[4:8]), HEAD)
            if head[:4] == CONTENTS:
                content = file.read(min(size, end - at) - HEAD)
                if (blank := _blank(content)) != content:
                    file.seek(at + HEAD)
                    file.write(blank)
                    changed = True
            if head[:4] == DATA:
                break
            at += size
    return changed


def _blank(content: bytes) -> bytes:
    """The same lengths, and spaces for the texts."""
    made = bytearray(content)
    at = 0
    while at + 2 <= len(made):
        length = int.from_bytes(made[at : at + 2])
        stretch = slice(at + 2, min(at + 2 + length, len(made)))
        made[stretch] = b" " * len(made[stretch])
        at += 2 + length
    return bytes(made)
