"""What browsers play: the video itself, the same streams in a better container, or H.264 and AAC in MP4."""

from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox import boxes, encoding, segments

MP4_PICTURES, MP4_SOUNDS = ("h264", "av1", "libdav1d"), ("aac", "mp3", "opus", "libopus")
WEBM_PICTURES, WEBM_SOUNDS = ("vp8", "vp9", "av1", "libdav1d"), ("opus", "vorbis", "libopus", "libvorbis")
OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """Of what had to be encoded also `segments`, in a file of their own. Raises what PyAV raises of a broken file."""
    with av.open(str(source)) as container:
        picture = container.streams.video[0]
        sound = container.streams.audio[0] if container.streams.audio else None
        if extension == "webm" and _plays(picture, sound, WEBM_PICTURES, WEBM_SOUNDS):
            return {"extension": ""}
        playable = _plays(picture, sound, MP4_PICTURES, MP4_SOUNDS)
        if playable and extension == "mp4" and boxes.starts_fast(source):
            return {"extension": ""}
        with av.open(str(target), "w", format="mp4", options=OPTIONS) as output:
            if playable:
                _copy(container, [stream for stream in (picture, sound) if stream], output)
            else:
                encoding.encode(container, picture, sound, output, _turn_of(source))
    return {"extension": "mp4", "segments": [] if playable else segments.cut(target, cuts)}


def _plays(picture: Any, sound: Any, pictures: tuple[str, ...], sounds: tuple[str, ...]) -> bool:
    if picture.codec_context.name == "h264" and picture.codec_context.pix_fmt not in ("yuv420p", "yuvj420p"):
        return False  # 10 bits and 4:4:4 are for studios
    return picture.codec_context.name in pictures and (sound is None or _codec(sound) in sounds)


def _codec(stream: Any) -> str:
    name: str = stream.codec_context.name
    return "mp3" if name.startswith("mp3") else name


def _copy(container: Any, streams: list[Any], output: Any) -> None:
    copies = {stream.index: output.add_stream_from_template(stream) for stream in streams}
    for packet in container.demux(streams):
        if packet.dts is not None:
            packet.stream = copies[packet.stream.index]
            output.mux(packet)


def _turn_of(source: Path) -> int:
    """Degrees against the clock that the pictures are to be shown turned by, as telephones film."""
    with av.open(str(source)) as container:
        return int(next(container.decode(video=0)).rotation)
