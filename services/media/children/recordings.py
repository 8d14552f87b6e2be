"""Video and audio: opened by the one demuxer that its type names, read to the end, and begun to decode."""

from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from services.media.children import boxes
from services.media.children.limits import Refused

SLACK = 2.0  # seconds by which a recording may end before its container says


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Raises Refused, and what PyAV raises of a broken file."""
    if format in ("mp4", "mov"):
        boxes.check(path)
    with av.open(str(path), format=format) as container:
        pictures = [stream for stream in container.streams.video if not _is_cover_art(stream)]
        sounds = list(container.streams.audio)
        if not pictures and not sounds:
            raise Refused("BROKEN", "neither picture nor sound")
        if pictures and kind == "audio":
            raise Refused("TYPE", "a video in the guise of audio")
        width, height = (pictures[0].width, pictures[0].height) if pictures else (0, 0)
        if width * height > limits["pixels"]:
            raise Refused("LARGE", "too many pixels")
        declared = (container.duration or 0) / 1_000_000
        if declared > limits["seconds"]:
            raise Refused("LARGE", "too long")
        codecs = [stream.codec_context.name for stream in (*pictures[:1], *sounds[:1])]
        duration = _play(container, [*pictures[:1], *sounds[:1]])
    if declared and duration < declared * 0.9 - SLACK:
        raise Refused("BROKEN", "cut short")
    if duration > limits["seconds"]:
        raise Refused("LARGE", "too long")
    return {
        "width": width,
        "height": height,
        "duration": round((declared or duration) * 1000),
        "codec": "/".join(codecs),
        "has_video": bool(pictures),
    }


def _is_cover_art(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _play(container: Any, streams: list[Any]) -> float:
    """Demuxes all packets and decodes a first frame of each stream; the end of the last packet, in seconds."""
    end, start, undecoded = 0.0, None, {stream.index for stream in streams}
    for packet in container.demux(streams):
        if packet.pts is not None and packet.time_base:
            begins = float(packet.pts * packet.time_base)
            start = begins if start is None else min(start, begins)
            end = max(end, begins + float((packet.duration or 0) * packet.time_base))
        if packet.stream.index in undecoded and packet.decode():
            undecoded.discard(packet.stream.index)
    if undecoded:
        raise Refused("BROKEN", "cannot be decoded")
    return end - (start or 0.0)
