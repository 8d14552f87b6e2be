"""Makes an MP4 of an animated picture: without sound, to be played in a loop, and many times smaller."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import filters, renditions
from services.media.processing.sandbox.pictures.pictures import eight_bits, milliseconds_of
from services.media.processing.sandbox.sources import BT709, LIMITED

CLOCK = Fraction(1, 1_000)
RATE = 25  # frames per second, a hint: each frame has its own time
LONGEST_SIDE = 1_280  # pixels
OPTIONS = {"preset": "veryfast", "crf": "23"}
GROUND = (255, 255, 255)  # where the animation is transparent


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """Writes the MP4 to `target`. Raises what Pillow raises for a broken picture."""
    with Image.open(source, formats=[TYPES[extension].format]) as image:
        scale = min(1.0, LONGEST_SIDE / max(image.size))
        size = [max(round(side * scale / 2) * 2, 2) for side in image.size]
        with av.open(str(target), "w", format="mp4", options=renditions.OPTIONS["mp4"]) as output:
            stream = _stream(output, size)
            durations: dict[int, int] = {}
            for frame, duration in _frames(image, size):
                durations[frame.pts] = duration
                _write(output, stream.encode(frame), durations)
            _write(output, stream.encode(None), durations)
    return {"extension": "mp4"}


def _stream(output: Any, size: list[int]) -> Any:
    stream = output.add_stream("libx264", rate=RATE, options=OPTIONS, time_base=CLOCK)
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    context = stream.codec_context
    context.thread_count = filters.THREADS
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = LIMITED
    return stream


def _frames(image: Any, size: list[int]) -> Iterator[tuple[Any, int]]:
    """Each frame, with its time, and the milliseconds for which it is shown."""
    time = 0
    for number in range(image.n_frames):
        image.seek(number)
        frame = av.VideoFrame.from_image(_on_ground(image).resize(size))  # type: ignore[no-untyped-call]
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = time, CLOCK
        duration = milliseconds_of(image)
        yield frame, duration
        time += duration


def _on_ground(image: Any) -> Any:
    if not image.has_transparency_data:
        return eight_bits(image).convert("RGB")
    picture = image.convert("RGBA")
    ground = Image.new("RGB", picture.size, GROUND)
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _write(output: Any, packets: list[Any], durations: dict[int, int]) -> None:
    """With each packet's duration, which the encoder drops and the last packet needs."""
    for packet in packets:
        packet.duration = durations[packet.pts]
        output.mux(packet)
