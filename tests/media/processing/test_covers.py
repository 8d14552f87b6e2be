"""Which frame a video's cover shows if its owner does not choose one."""

import os
from collections.abc import Sequence
from pathlib import Path

import av
from PIL import Image, ImageFilter, ImageStat

from services.media.processing.sandbox.stills import covers

SIZE = (320, 240)


def cover_of(frames: Sequence[Image.Image], tmp_path: Path) -> Image.Image:
    """Of a video that shows each frame for a tenth of a second, with one key frame."""
    source, target = tmp_path / "source.mp4", tmp_path / "cover"
    with av.open(str(source), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "999", "sc_threshold": "0", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))
    covers.make(source, "mp4", target, tmp_path / "cuts")
    return Image.open(target).convert("L")


def scene() -> Image.Image:
    return Image.frombytes("RGB", (40, 30), os.urandom(3_600)).resize(SIZE, Image.Resampling.NEAREST)


def edges(picture: Image.Image) -> float:
    return ImageStat.Stat(picture.convert("L").filter(ImageFilter.FIND_EDGES)).stddev[0]


def test_the_sharpest_frame_of_a_moment_counts(tmp_path: Path) -> None:
    sharp = scene()
    blurred = sharp.filter(ImageFilter.GaussianBlur(6))
    frames = [sharp if number in (5, 23) else blurred for number in range(40)]
    assert edges(cover_of(frames, tmp_path)) > 0.7 * edges(sharp)
    assert edges(blurred) < 0.3 * edges(sharp)


def test_black_and_blank_moments_are_passed_over(tmp_path: Path) -> None:
    black, grey = Image.new("RGB", SIZE), Image.new("RGB", SIZE, (128, 128, 128))
    shown = scene()
    frames = [black] * 20 + [grey] * 20 + [shown] * 8 + [black] * 12
    assert edges(cover_of(frames, tmp_path)) > 0.7 * edges(shown)


def test_a_video_without_a_good_moment_has_its_best_one(tmp_path: Path) -> None:
    dark = Image.new("RGB", SIZE, (6, 6, 6))
    cover = cover_of([Image.new("RGB", SIZE)] * 10 + [dark] * 10, tmp_path)
    assert cover.size == SIZE
