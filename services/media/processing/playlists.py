"""HLS playlists (RFC 8216): media playlists, whose segments are byte ranges of one file, and master playlists."""

import math
from collections.abc import Sequence
from typing import Any

VERSION = 7  # of the protocol: the first that allows EXT-X-MAP in such playlists


def playlist(file: str, segments: Sequence[tuple[int, int, float]]) -> str:
    """The media playlist of `file`, which it names by a relative path. `segments` come from sandbox/segments.py."""
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


def master(rungs: Sequence[tuple[str, dict[str, Any]]], begun: str = "") -> str:
    """The master playlist of (media playlist, description) pairs. Descriptions come from sandbox/ladder.py; players
    start with the first one. `begun`: a master playlist whose rungs come before these."""
    lines = begun.splitlines() or ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for file, rung in rungs:
        attributes = [
            f"BANDWIDTH={rung['peak']}",
            f"AVERAGE-BANDWIDTH={rung['mean']}",
            f'CODECS="{rung["codecs"]}"',
            f"RESOLUTION={rung['width']}x{rung['height']}",
            f"FRAME-RATE={rung['rate']:.3f}",
        ]
        lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", file]
    return "\n".join([*lines, ""])
