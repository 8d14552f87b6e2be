"""Metadata in a Flash video: tags of script data (Adobe Flash Video File Format 10.1)."""

import struct
from pathlib import Path

SCRIPT = 18
TECHNICAL = {
    *("duration", "width", "height", "framerate", "videodatarate", "videocodecid", "audiodatarate", "audiosamplerate"),
    *("audiosamplesize", "audiocodecid", "stereo", "filesize", "encoder", "major_brand", "minor_version"),
    *("compatible_brands", "hasVideo", "hasAudio", "hasMetadata", "hasKeyframes", "canSeekToEnd", "datasize"),
    *("videosize", "audiosize", "lasttimestamp", "lastkeyframetimestamp", "lastkeyframelocation"),
}
NAME = b"\x02\0\x0aonMetaData\x08"  # a string, and the start of an array
EMPTY = NAME + bytes(4) + b"\0\0\x09"
END = b"\0\0\x09"
NUMBER, BOOLEAN, STRING = 0, 1, 2


def strip(path: Path) -> bool:
    """Overwrites script data in place unless it is only technical. Returns whether there was any."""
    changed, end = False, path.stat().st_size
    with path.open("r+b") as file:
        at = struct.unpack(">I", file.read(9)[5:].ljust(4, b"\0"))[0] + 4
        while at + 11 <= end:
            file.seek(at)
            head = file.read(11)
            size = int.from_bytes(head[1:4])
            if head[0] & 0x1F == SCRIPT:
                content = file.read(size)
                if not _is_technical(content):
                    file.seek(at + 11)
                    file.write(EMPTY.ljust(len(content), b"\0")[: len(content)])
                    changed = True
            at += size + 15
    return changed


def _is_technical(content: bytes) -> bool:
    """Whether the data holds only numbers and texts with known names, and nothing after them."""
    if not content.startswith(NAME):
        return not content.strip(b"\0") or EMPTY.startswith(content)
    at = len(NAME) + 4
    while content[at : at + 3] != END:
        length = int.from_bytes(content[at : at + 2])
        name, at = content[at + 2 : at + 2 + length].decode("latin-1"), at + 2 + length
        kind = content[at] if at < len(content) else -1
        if name not in TECHNICAL or kind not in (NUMBER, BOOLEAN, STRING):
            return False
        at += {NUMBER: 9, BOOLEAN: 2, STRING: 3 + int.from_bytes(content[at + 1 : at + 3])}[kind]
    return not content[at + 3 :].strip(b"\0")
