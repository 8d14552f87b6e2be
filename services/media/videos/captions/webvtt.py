"""Reads captions as users upload them, WebVTT (W3C) or SRT, and writes the WebVTT that players get.

Nothing of the upload is passed on as it is: times are written anew, settings are those of a list, text keeps five tags
and escapes the rest. Styles, regions and notes are left out.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from services.media.errors import CaptionsInvalid, CaptionsTooLarge

MAX_BYTES, MAX_CUES, MAX_TEXT = 524_288, 10_000, 2_000  # of a file; in it; characters of a cue
SEGMENT_MS = 60_000
TIMING = re.compile(
    r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)[.,](\d{3})[ \t]+-->[ \t]+(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)[.,](\d{3})(.*)"
)
SETTING = re.compile(
    r"vertical:(rl|lr)|line:(-?\d{1,3}|\d{1,3}(\.\d{1,2})?%)(,(start|center|end))?|size:\d{1,3}(\.\d{1,2})?%"
    r"|position:\d{1,3}(\.\d{1,2})?%(,(line-left|center|line-right))?|align:(start|center|end|left|right)"
)
LEFT_OUT = ("NOTE", "STYLE", "REGION")
TAG = re.compile(r"<[^<>]{0,200}>")
KEPT = re.compile(r"</?[biu]>|<v [^<>&\n]{1,100}>|</v>")
ENTITY = re.compile(r"&(?!(?:amp|lt|gt|nbsp|lrm|rlm);)")
CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])


class Cue(NamedTuple):
    begins: int  # milliseconds
    ends: int
    settings: str
    text: str


def parse(data: str) -> list[Cue]:
    """The cues by their beginning. Raises CaptionsInvalid with the number of the line, CaptionsTooLarge."""
    if len(data) > MAX_BYTES or len(data.encode("utf-8", "replace")) > MAX_BYTES:
        raise CaptionsTooLarge
    lines = data.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").translate(CONTROLS).split("\n")
    if lines[0].split(" ")[0].split("\t")[0] == "WEBVTT":
        lines[0] = "NOTE"
    cues: list[Cue] = []
    for number, block in _blocks(lines):
        if block[0].split(" ")[0] not in LEFT_OUT:
            cues.append(_cue(number, block))
        if len(cues) > MAX_CUES:
            raise CaptionsTooLarge
    if not cues:
        raise CaptionsInvalid("no cue")
    return sorted(cues, key=lambda cue: (cue.begins, cue.ends))


def write(cues: Sequence[Cue], header: str = "WEBVTT") -> str:
    """A whole WebVTT file."""
    return "\n\n".join([header, *map(_write, cues)]) + "\n"


def segments(cues: Sequence[Cue], duration: int) -> list[tuple[str, float]]:
    """The WebVTT files of a rendition for HLS with the seconds of each (RFC 8216, 3.5). `duration` in milliseconds. A
    cue is in each segment in which it is shown."""
    end = max(duration, cues[-1].ends if not duration else 0, 1)
    header = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000"
    found = []
    for begins in range(0, end, SEGMENT_MS):
        ends = min(begins + SEGMENT_MS, end)
        shown = [cue for cue in cues if cue.begins < ends and cue.ends > begins]
        found.append((write(shown, header), (ends - begins) / 1000))
    return found


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty ones, with the number of the first."""
    first, block = 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            first, block = (first or number), [*block, line]
        elif block:
            yield first, block
            first, block = 0, []


def _cue(number: int, block: Sequence[str]) -> Cue:
    place = next((at for at, line in enumerate(block[:2]) if "-->" in line), None)
    found = None if place is None else TIMING.fullmatch(block[place].strip())
    if place is None or not found:
        raise CaptionsInvalid(f"line {number}: neither WebVTT nor SRT")
    begins, ends = _milliseconds(*found.groups()[:4]), _milliseconds(*found.groups()[4:8])
    text = "\n".join(_clean(line) for line in block[place + 1 :])
    if ends <= begins:
        raise CaptionsInvalid(f"line {number}: ends before it begins")
    if len(text) > MAX_TEXT:
        raise CaptionsTooLarge
    settings = " ".join(word for word in found[9].split() if SETTING.fullmatch(word))
    return Cue(begins, ends, settings, text)


def _milliseconds(hours: str | None, minutes: str, seconds: str, rest: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(rest)


def _clean(line: str) -> str:
    """The line with the tags that are kept; everything else in it is text."""
    made, at = [], 0
    for tag in TAG.finditer(line):
        made += [_escape(line[at : tag.start()]), tag[0] if KEPT.fullmatch(tag[0]) else ""]
        at = tag.end()
    return "".join([*made, _escape(line[at:])])


def _escape(text: str) -> str:
    return ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def _write(cue: Cue) -> str:
    times = f"{_timestamp(cue.begins)} --> {_timestamp(cue.ends)} {cue.settings}".rstrip()
    return f"{times}\n{cue.text}"


def _timestamp(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
