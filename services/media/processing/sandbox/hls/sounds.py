"""Cuts the sound of a recording into segments of its own, for players that show no pictures or lack the bandwidth."""

from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox.formats import boxes
from services.media.processing.sandbox.hls import rungs
from services.media.processing.sandbox.hls.segments import Segment, fragments_of, join

# A fragment per second, of which several make a segment; the first segment is one, so that playback starts soon.
OPTIONS = {"movflags": "+delay_moov+default_base_moof+skip_trailer", "frag_duration": "1000000", "fflags": "+bitexact"}


def cut(source: Path, target: Path) -> dict[str, Any] | None:
    """Writes the sound of `source`, which is AAC, to `target`. None if there is none. Raises what PyAV raises."""
    with av.open(str(source)) as container, av.open(str(target), "w", format="mp4", options=OPTIONS) as output:
        sound = container.streams.audio[0]
        track, rate, end = output.add_stream_from_template(sound), sound.rate, 0.0
        for packet in container.demux(sound):
            if packet.pts is not None and packet.dts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                packet.stream = track
                output.mux(packet)
    found = _segments(target, rate, end) if end else []
    if not found:
        return None
    return {"cuts": str(target), "segments": found, "codecs": rungs.SOUND, **rungs.rates_of(found)}


def _segments(path: Path, rate: int, end: float) -> list[Segment]:
    """The bytes before the first segment are the index."""
    starts, size = fragments_of(path)
    times = [begin / rate for begin in _times(path, starts)]
    return join(starts, size, [*times, max(end, times[-1] + 0.001)])


def _times(path: Path, starts: list[int]) -> list[int]:
    """When each fragment begins, in samples: the base time of its track (ISO/IEC 14496-12, 8.8.12)."""
    found = []
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            fragment = file.read(int.from_bytes(file.read(4)) - 4)
            fragment = bytes(4) + fragment
            track = boxes.find(fragment, boxes.Inner(b"moof", 0, 8, len(fragment)), b"traf")
            time = track and boxes.find(fragment, track, b"tfdt")
            assert time
            wide = fragment[time.content] == 1
            found.append(int.from_bytes(fragment[time.content + 4 : time.content + (12 if wide else 8)]))
    return found
