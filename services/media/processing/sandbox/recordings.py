"""Video and audio: opened by the one demuxer that its type names, read to the end, and begun to decode."""

import struct
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from services.media.processing.sandbox import boxes
from services.media.processing.sandbox.limits import Refused

SLACK = 2.0  # seconds by which a recording may end before its container says


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Raises Refused, and what PyAV raises of a broken file."""
    if format in ("mp4", "mov"):
        boxes.check(path)
    if format == "avi":
        _check_riff(path)
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
        duration, frames = _play(container, [*pictures[:1], *sounds[:1]])
        if pictures and abs(frames[pictures[0].index].rotation) == 90:  # as telephones film upright
            width, height = height, width
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


def _check_riff(path: Path) -> None:
    """That an AVI's outer chunks are all of the file. Raises Refused."""
    end, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            kind, size, form = struct.unpack("<4sI4s", file.read(12).ljust(12))
            if kind != b"RIFF" or form not in (b"AVI ", b"AVIX"):
                raise Refused("TYPE", "goes on after the recording")
            at += 8 + size + size % 2
    if at > end + 1:  # some leave out the last byte, which is for evenness
        raise Refused("BROKEN", "cut short")


def _play(container: Any, streams: list[Any]) -> tuple[float, dict[int, Any]]:
    """Demuxes all packets and decodes a first frame of each stream; the seconds till the end of the last packet, and
    the frames by their stream's index."""
    end, start, first = 0.0, None, {}
    for packet in container.demux(streams):
        if packet.pts is not None and packet.time_base:
            begins = float(packet.pts * packet.time_base)
            start = begins if start is None else min(start, begins)
            end = max(end, begins + float((packet.duration or 0) * packet.time_base))
        if packet.stream.index not in first and (frames := packet.decode()):
            first[packet.stream.index] = frames[0]
    if len(first) < len(streams):
        raise Refused("BROKEN", "cannot be decoded")
    return end - (start or 0.0), first
