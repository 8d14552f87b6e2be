"""HLS media playlists (RFC 8216): one file, of which each segment is a stretch of bytes."""

import math
from collections.abc import Sequence

MAP_VERSION = 7  # of the protocol; earlier players know no EXT-X-MAP of such files


def playlist(file: str, segments: Sequence[tuple[int, int, float]]) -> str:
    """Of `file`, named relatively to the playlist; `segments` as children/segments.py cut it."""
    longest = max(seconds for _, _, seconds in segments)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{MAP_VERSION}",
        f"#EXT-X-TARGETDURATION:{max(math.ceil(longest), 1)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{file}",BYTERANGE="{segments[0][0]}@0"',
    ]
    for start, size, seconds in segments:
        lines += [f"#EXTINF:{seconds:.6f},", f"#EXT-X-BYTERANGE:{size}@{start}", file]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
