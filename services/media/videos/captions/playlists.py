"""Captions in HLS (RFC 8216, 4.3.4.1): the playlist of one language, and the master playlist of a captioned video."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

VERSION = 7
GROUP = "captions"


class Rendition(NamedTuple):
    language: str
    label: str
    playlist: str  # the name of its playlist


def playlist(file: str, segments: Sequence[tuple[int, int, float]]) -> str:
    """`segments`: offset, bytes and seconds of each, in `file`."""
    longest = max(seconds for _, _, seconds in segments)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", f"#EXT-X-TARGETDURATION:{max(math.ceil(longest), 1)}"]
    lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    for start, size, seconds in segments:
        lines += [f"#EXTINF:{seconds:.3f},", f"#EXT-X-BYTERANGE:{size}@{start}", file]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def master(base: str, file: str, renditions: Sequence[Rendition]) -> str:
    """`base`, the playlist named `file` that the video has without captions, with the renditions."""
    if "#EXT-X-STREAM-INF" not in base:
        base = _master_of_one(base, file)
    head, mark, rungs = base.partition("#EXT-X-STREAM-INF")
    rungs = re.sub(r"(#EXT-X-STREAM-INF:[^\n]*)", rf'\1,SUBTITLES="{GROUP}"', mark + rungs)
    return head + "".join(map(_media, renditions)) + rungs


def _media(rendition: Rendition) -> str:
    about = f'TYPE=SUBTITLES,GROUP-ID="{GROUP}",NAME="{rendition.label}",LANGUAGE="{rendition.language}"'
    return f'#EXT-X-MEDIA:{about},DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="{rendition.playlist}"\n'


def _master_of_one(text: str, file: str) -> str:
    """A master playlist of a media playlist of byte ranges, which files have that an earlier release processed."""
    spans = re.findall(r"#EXTINF:([\d.]+),\n#EXT-X-BYTERANGE:(\d+)@", text)
    rates = [int(size) * 8 / max(float(seconds), 0.001) for seconds, size in spans]
    mean = sum(int(size) for _, size in spans) * 8 / max(sum(float(seconds) for seconds, _ in spans), 0.001)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    rate = f"BANDWIDTH={round(max([*rates, 1]))},AVERAGE-BANDWIDTH={round(max(mean, 1))}"
    return "\n".join([*lines, f"#EXT-X-STREAM-INF:{rate}", file, ""])
