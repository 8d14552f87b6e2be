"""HLS playlists (RFC 8216): media playlists, whose segments are byte ranges of one file, and master playlists."""

import math
import re
from collections.abc import Sequence
from typing import Any

VERSION = 7  # of the protocol: the first that allows EXT-X-MAP in such playlists


def playlist(file: str, segments: Sequence[tuple[int, int, float]]) -> str:
    """The media playlist of `file`, which it names by a relative path. `segments` come from sandbox/hls/segments.py."""
    longest = max(seconds for _, _, seconds in segments)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{max(math.ceil(longest), 1)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{file}",BYTERANGE="{segments[0][0]}@0"',
    ]
    for start, size, seconds in segments:
        lines += [f"#EXTINF:{seconds:.6f},", f"#EXT-X-BYTERANGE:{size}@{start}", file]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


Described = tuple[str, dict[str, Any]]


def master(rungs: Sequence[Described], begun: str = "", sound: Described | None = None) -> str:
    """The master playlist of (media playlist, description) pairs, smallest first. Descriptions come from
    sandbox/ladder.py; players start with the first one. `begun`: a master playlist whose rungs come before these.
    `sound`: a variant without pictures, which comes last, so that no player starts with it."""
    lines = begun.splitlines() or ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    peak = max(map(int, re.findall(r"[:,]BANDWIDTH=(\d+)", begun)), default=0)
    for file, rung in rungs:
        # A larger picture may need fewer bits at its worst moment. Players sort by what is said here, and it has to
        # follow the sizes.
        peak = max(peak + 1, rung["peak"])
        lines += _variant(file, rung, peak)
    if sound:
        file, said = sound
        rates = f"BANDWIDTH={said['peak']},AVERAGE-BANDWIDTH={said['mean']}"
        lines += [f'#EXT-X-STREAM-INF:{rates},CODECS="{said["codecs"]}"', file]
    return "\n".join([*lines, ""])


def with_hdr(text: str, hdr: Described) -> str:
    """A master playlist with the HDR rendition in it, as the last with pictures; in place of the one that it has.

    The others then say that they are SDR, as the HLS authoring specification asks."""
    text = re.sub(r"#EXT-X-STREAM-INF:\S+,VIDEO-RANGE=(PQ|HLG)\n\S+\n", "", text)
    lines = re.sub(r"(,RESOLUTION=[^\n]*?)(,VIDEO-RANGE=SDR)?\n", r"\1,VIDEO-RANGE=SDR\n", text).splitlines()
    last = max(number for number, line in enumerate(lines) if "RESOLUTION=" in line) + 2
    return "\n".join([*lines[:last], *_variant(*hdr, hdr[1]["peak"]), *lines[last:], ""])


def _variant(file: str, rung: dict[str, Any], peak: int) -> list[str]:
    attributes = [
        f"BANDWIDTH={peak}",
        f"AVERAGE-BANDWIDTH={min(rung['mean'], peak)}",
        f'CODECS="{rung["codecs"]}"',
        f"RESOLUTION={rung['width']}x{rung['height']}",
        f"FRAME-RATE={rung['rate']:.3f}",
        *([f"VIDEO-RANGE={rung['range']}"] if "range" in rung else []),  # SDR without it (RFC 8216bis, 4.4.6.2)
    ]
    return [f"#EXT-X-STREAM-INF:{','.join(attributes)}", file]
