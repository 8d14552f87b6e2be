"""Video and audio: opened by the one demuxer of the file's type, read to the end, and the first frames decoded."""

import struct
from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox import copying, failures, sources
from services.media.processing.sandbox.formats import (
    asf,
    boxes,
    metadata,
    ogg,
    program_stream,
    sound_tags,
    transport_stream,
)
from services.media.processing.sandbox.limits import Refused

# Few players read these, and names of people and places may be anywhere in them: they become QuickTime.
REWRAPPED = ("mxf", "gxf", "dv", "wtv", "mpegvideo", "nut", "ivf")
PICTURES_ONLY = ("avi", "flv", "mpegts", "mpeg", "rm", *REWRAPPED)  # no player expects sound alone in these
WRAPPINGS = {"mov": "mov", "matroska": "mkv"}  # formats and their extensions, the first that takes the codecs
EXACT = {"fflags": "+bitexact", "movie_timescale": "90000"}
GUESSED = {"fflags": "+genpts"}  # times that the format leaves out
FROM_ZERO = ("matroska",)  # their length is told from time 0, also if the recording begins later
SLACK = 2.0  # seconds by which a recording may end before its container says


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Returns the facts of the recording, and removes personal metadata from it.

    Raises Refused, and what PyAV raises for a broken file.
    """
    told: dict[str, Any] = {}
    if format in ("mp4", "mov"):
        boxes.check(path)
    if format == "asf":
        asf.check(path)
    if format == "avi":
        _check_riff(path)
    if format == "ogg":
        ogg.check(path)
    if format == "mpegts":
        transport_stream.check(path)
    if format == "mpeg":
        program_stream.check(path)
    if format == "mp3" and sound_tags.is_adts(path):
        format, told = "aac", {"extension": "aac"}
    facts = _inspect(path, kind, format, limits) | told
    if kind == "video" and not facts["has_video"] and format in PICTURES_ONLY:
        _rewrap(path, format, "matroska")
        return facts | {"extension": "mka", "changed": True}
    if format in REWRAPPED:
        return facts | {"extension": _rewrap(path, format, *WRAPPINGS), "changed": True}
    return facts | {"changed": metadata.strip_recording(path, format)}


def _inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    with av.open(str(path), format=format) as container:
        picture, sound = sources.picture_of(container), sources.sound_of(container)
        _check_streams(container, picture, sound, kind)
        if picture and picture.width * picture.height > limits["pixels"]:
            raise Refused("LARGE", "too many pixels")
        declared = (container.duration or 0) / 1_000_000
        if declared > limits["seconds"]:
            raise Refused("LARGE", "too long")
        streams = [stream for stream in (picture, sound) if stream]
        start, duration, frames = _play(container, streams)
        shape = sources.shape_of(picture, frames[picture.index]) if picture else None
    if format in FROM_ZERO and declared:
        declared = max(declared - start, duration)
    if declared and duration < declared * 0.9 - SLACK:
        raise Refused("TRUNCATED", "cut short")
    if duration > limits["seconds"]:
        raise Refused("LARGE", "too long")
    return {
        "width": shape.width if shape else 0,
        "height": shape.height if shape else 0,
        "duration": round((max(declared, duration) if format in sources.BROADCAST else declared or duration) * 1000),
        "codec": "/".join(map(sources.codec_of, streams)),
        "has_video": bool(picture),
    }


def _rewrap(path: Path, format: str, *wrappings: str) -> str:
    """Puts what is played of the recording into the first of these formats that takes it; returns the extension. No
    metadata goes with it. Raises Refused if none takes it."""
    target = path.with_name("wrapped")
    for wrapping in wrappings:
        try:
            with (
                av.open(str(path), format=format, options=GUESSED) as container,
                av.open(str(target), "w", format=wrapping, options=EXACT) as to,
            ):
                streams = [sources.picture_of(container), sources.sound_of(container)]
                copying.copy(container, [stream for stream in streams if stream], to)
        except (ValueError, copying.Uncopyable, av.FFmpegError) as error:
            if getattr(error, "errno", None) in failures.FULL:
                raise
            continue
        target.replace(path)
        return WRAPPINGS[wrapping]
    raise Refused("CODEC", "in no format that players read")


def _check_streams(container: Any, picture: Any, sound: Any, kind: str) -> None:
    """Raises Refused if the streams do not fit the kind, or no codec is known for one."""
    if not picture and not sound:
        raise Refused("BROKEN", "neither picture nor sound")
    if picture and kind == "audio":
        raise Refused("TYPE", "a video in the guise of audio")
    if any(stream.codec_context is None for stream in (picture, sound) if stream):
        raise Refused("CODEC", "no decoder for it")


def _check_riff(path: Path) -> None:
    """Raises Refused unless an AVI's outer chunks fill the file."""
    end, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            kind, size, form = struct.unpack("<4sI4s", file.read(12).ljust(12))
            if kind != b"RIFF" or form not in (b"AVI ", b"AVIX"):
                raise Refused("TYPE", "goes on after the recording")
            at += 8 + size + size % 2
    if at > end + 1:  # some writers leave out the last padding byte
        raise Refused("TRUNCATED", "cut short")


def _play(container: Any, streams: list[Any]) -> tuple[float, float, dict[int, Any]]:
    """Demuxes all packets and decodes the first frame of each stream. Returns the time in seconds at which the first
    packet begins, the time from there until the last one ends, and the frames by stream index."""
    end, start, first = 0.0, None, {}
    clocks = {stream.index: float(stream.time_base or 0) for stream in streams}  # a Fraction costs more than the packet
    may_be_encrypted = "mp4" in container.format.name.split(",")
    for packet in sources.demux(container, streams):
        if may_be_encrypted and packet.has_sidedata("encryption_info"):
            raise Refused("ENCRYPTED", "encrypted")
        index = packet.stream_index
        if (pts := packet.pts) is not None:
            begins = pts * clocks[index]
            start = begins if start is None else min(start, begins)
            end = max(end, begins + (packet.duration or 0) * clocks[index])
        if index not in first and (frames := sources.decode(packet)):
            first[index] = frames[0]
    if len(first) < len(streams):
        raise Refused("BROKEN", "cannot be decoded")
    return start or 0.0, end - (start or 0.0), first
