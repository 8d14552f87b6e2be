"""Cuts a recording into segments that begin with a key frame, as HLS players fetch them (RFC 8216)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox.formats import boxes

SECONDS = 4.0  # of a segment, except the first; longer where a key frame comes late
# An index without samples, then one fragment per key frame (ISO/IEC 23000-19).
OPTIONS = {"movflags": "+frag_keyframe+delay_moov+default_base_moof+skip_trailer", "fflags": "+bitexact"}

Segment = tuple[int, int, float]  # offset, bytes, seconds


def cut(source: Path, target: Path) -> list[Segment]:
    """Writes the fragments of `source`, which renditions.py encoded, to `target`. The bytes before the first segment
    are the index.

    Raises what PyAV raises.
    """
    with av.open(str(source)) as container, av.open(str(target), "w", format="mp4", options=OPTIONS) as output:
        times = _copy(container, output)
    starts, size = fragments_of(target)
    return join(starts, size, times)


def fragments_of(path: Path) -> tuple[list[int], int]:
    """The offsets at which the fragments begin, and the size of the file."""
    found = list(boxes.walk(path))
    return [box.start for box in found if box.kind == b"moof"], found[-1].start + found[-1].size


def join(starts: Sequence[int], size: int, times: Sequence[float]) -> list[Segment]:
    """Makes segments of about SECONDS of the fragments that begin at the offsets `starts`. `times`: the seconds at
    which each begins, and at which the last one ends."""
    segments: list[Segment] = []
    for start, stop, begins, ends in zip(starts, [*starts[1:], size], times[:-1], times[1:], strict=True):
        seconds = ends - begins
        if len(segments) > 1 and segments[-1][2] + seconds / 2 < SECONDS:
            start, _, before = segments.pop()
            seconds += before
        segments.append((start, stop - start, seconds))
    return segments


def _copy(container: Any, output: Any) -> list[float]:
    """The times in seconds at which each key frame begins, and at which the recording ends."""
    copies = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
    for stream in container.streams.video:
        copies[stream.index].codec_context.codec_tag = stream.codec_context.codec_tag
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
