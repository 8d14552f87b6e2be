"""What browsers play: the video itself, the same streams in a better container, or H.264 and AAC in MP4."""

from pathlib import Path
from typing import Any

import av

from services.media.children import boxes

MP4_PICTURES, MP4_SOUNDS = ("h264", "av1"), ("aac", "mp3", "opus")
WEBM_PICTURES, WEBM_SOUNDS = ("vp8", "vp9", "av1", "libdav1d"), ("opus", "vorbis", "libopus", "libvorbis")
LONGEST_SIDE = 1_920
OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}


def make(source: Path, extension: str, target: Path) -> str:
    """Raises what PyAV raises of a broken file."""
    with av.open(str(source)) as container:
        picture = container.streams.video[0]
        sound = container.streams.audio[0] if container.streams.audio else None
        if extension == "webm" and _plays(picture, sound, WEBM_PICTURES, WEBM_SOUNDS):
            return ""
        playable = _plays(picture, sound, MP4_PICTURES, MP4_SOUNDS)
        if playable and extension == "mp4" and boxes.starts_fast(source):
            return ""
        with av.open(str(target), "w", format="mp4", options=OPTIONS) as output:
            if playable:
                _copy(container, [stream for stream in (picture, sound) if stream], output)
            else:
                _encode(container, picture, sound, output)
    return "mp4"


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


def _encode(container: Any, picture: Any, sound: Any, output: Any) -> None:
    scale = min(1.0, LONGEST_SIDE / max(picture.width, picture.height))
    video = output.add_stream("libx264", rate=picture.average_rate or 30, options={"preset": "veryfast", "crf": "23"})
    video.width, video.height = (max(round(side * scale / 2) * 2, 2) for side in (picture.width, picture.height))
    video.pix_fmt, video.codec_context.thread_count = "yuv420p", 2
    video.time_base = picture.time_base
    audio = output.add_stream("aac", rate=48_000, layout="stereo") if sound else None
    resampler = av.AudioResampler("fltp", "stereo", 48_000, frame_size=1_024) if sound else None
    for packet in container.demux([stream for stream in (picture, sound) if stream]):
        for frame in packet.decode():
            if packet.stream.type == "video":
                frame.pict_type = 0
                output.mux(video.encode(frame.reformat(width=video.width, height=video.height, format="yuv420p")))
            elif resampler and audio:
                for piece in resampler.resample(frame):
                    output.mux(audio.encode(piece))
    output.mux(video.encode(None))
    if resampler and audio:
        for piece in resampler.resample(None):
            output.mux(audio.encode(piece))
        output.mux(audio.encode(None))
