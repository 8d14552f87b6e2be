"""Which part of a file a request asks for, and whether the client has it already (RFC 9110, sections 13 and 14)."""

import re
from typing import NamedTuple

RANGE = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*")


class ByteRange(NamedTuple):
    start: int
    end: int  # exclusive


def requested_range(header: str, if_range: str | None, size: int, hash: str) -> tuple[ByteRange | None, bool]:
    """The bytes to send, None if the range begins beyond the end; and whether the client asked for a part.

    `header` is Range and `if_range` If-Range. A malformed header, several ranges, and a range of another version
    get the whole file (RFC 9110, 14.2).
    """
    whole = ByteRange(0, size)
    found = RANGE.fullmatch(header.strip().lower())
    if not found or (if_range is not None and if_range.strip() != f'"{hash}"') or found.groups() == ("", ""):
        return whole, False
    first, last = found.groups()
    if not first:
        return (ByteRange(max(size - int(last), 0), size), True) if int(last) else (None, True)
    if last and int(last) < int(first):
        return whole, False
    if int(first) >= size:
        return None, True
    return ByteRange(int(first), min(int(last) + 1 if last else size, size)), True


def has_tag(if_none_match: str, hash: str) -> bool:
    """Whether the header lists the entity tag of the file; weak comparison (RFC 9110, 13.1.2)."""
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return if_none_match.strip() == "*" or f'"{hash}"' in tags
