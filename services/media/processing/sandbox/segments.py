"""A recording cut into stretches that begin with a whole picture, as HLS players fetch them (RFC 8216)."""

from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox.formats import boxes

SECONDS = 4.0  # of a stretch but the first, and more where a picture comes late
# An index without samples, then a fragment a whole picture (ISO/IEC 23000-19).
OPTIONS = {"movflags": "+frag_keyframe+delay_moov+default_base_moof+skip_trailer", "fflags": "+bitexact"}

Segment = tuple[int, int, float]  # where it begins, its bytes, its seconds


def cut(source: Path, target: Path) -> list[Segment]:
    """Of what renditions.py encoded; what is before the first is the index of all. Raises what PyAV raises."""
    with av.open(str(source)) as container, av.open(str(target), "w", format="mp4", options=OPTIONS) as output:
        times = _copy(container, output)
    found = list(boxes.walk(target))
    end = found[-1].start + found[-1].size
    starts = [box.start for box in found if box.kind == b"moof"]
    fragments = zip(starts, [*starts[1:], end], times[:-1], times[1:], strict=True)
    segments: list[Segment] = []
    for start, stop, begins, ends in fragments:
        seconds = ends - begins
        if len(segments) > 1 and segments[-1][2] + seconds / 2 < SECONDS:
            start, _, before = segments.pop()
            seconds += before
        segments.append((start, stop - start, seconds))
    return segments


def _copy(container: Any, output: Any) -> list[float]:
    """When each whole picture begins, and when all ends."""
    copies = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
    times, end = [], 0.0
    for packet in container.demux(list(container.streams)):
        if packet.dts is None:
            continue
        begins = float(packet.pts * packet.time_base)
        end = max(end, begins + float((packet.duration or 0) * packet.time_base))
        if packet.stream.type == "video" and packet.is_keyframe:
            times.append(begins)
        packet.stream = copies[packet.stream.index]
        output.mux(packet)
    return [*times, end]
