"""What is known and not taken is told what it is."""

import pytest

from services.media.files.filetypes import sniff
from services.media.files.unsupported_types import refusal_of

SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>'
SOUND, PICTURE, OTHER = "FILE_SOUND_UNSUPPORTED", "FILE_PICTURE_UNSUPPORTED", "FILE_TYPE_REFUSED"
FILES = {
    "aiff": (b"FORM\0\0\0\x2eAIFFCOMM\0\0\0\x12\0\1", SOUND),
    "core audio": (b"caff\0\1\0\0desc\0\0\0\0", SOUND),
    "amr": (b"#!AMR\n\x3c\x08\xf3", SOUND),
    "mpeg layer 2": (b"\xff\xfd\xc4\0\x33\x22", SOUND),
    "dolby": (b"\x0b\x77\xa0\xde\x14\x40", SOUND),
    "svg": (SVG, PICTURE),
    "photoshop": (b"8BPS\0\1\0\0", PICTURE),
    "openexr": (b"\x76\x2f\x31\x01\x02\0\0\0", PICTURE),
    "a pixmap": (b"P6\n2 2\n255\n" + bytes(range(12)), PICTURE),
    "a page with a drawing": (b"<!doctype html><p><svg></svg>", OTHER),
    "amiga": (b"FORM\0\0\0\x08XXXX", OTHER),
    "noise": (bytes(range(256)), OTHER),
}


@pytest.mark.parametrize("kind", FILES)
def test_it_is_told_what_it_is(kind: str) -> None:
    head, reason = FILES[kind]
    assert sniff(head) is None
    assert refusal_of(head).reason == reason
