"""Makes short videos of moving shapes: H.264 and AAC in MP4. The same seed and encoder make the same bytes."""

import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

import av
import av.filter
import typer
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

from deploy.demo.scenes import SCENES, Scene

RATE = 20  # frames per second
SOUND_RATE = 44_100
DETAIL = 2  # drawn this many times larger, then reduced: smooths the edges
# A note every 0.4 s that fades away; %d is its pitch.
TUNE = "0.12*sin(2*PI*t*{pitch}*pow(2\\,floor(mod(t/0.4\\,5))*3/12))*exp(-4*mod(t\\,0.4))"


class Clip(NamedTuple):
    scene: str
    width: int
    height: int
    seconds: float
    seed: int


LANDSCAPE, PORTRAIT = (640, 360), (360, 640)
# The same pictures must make the same bytes each time. They do not with several threads, nor with x264's macroblock
# tree, which depends on memory that nothing has written.
ENCODER = {"preset": "veryfast", "crf": "23", "threads": "1", "x264-params": "mbtree=0"}


def write_clip(clip: Clip, path: Path) -> None:
    """Takes one to two seconds."""
    random = Random(clip.seed)  # noqa: S311 - to be the same each time
    draw = SCENES[clip.scene](random, clip.width * DETAIL, clip.height * DETAIL)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        pictures = output.add_stream("libx264", rate=RATE, options=ENCODER)
        pictures.width, pictures.height, pictures.pix_fmt = clip.width, clip.height, "yuv420p"
        sound = output.add_stream("aac", rate=SOUND_RATE, options={"threads": "1"})
        for picture in render(draw, clip):
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        for samples in play(random.choice((196, 220, 247, 262)), clip.seconds):
            output.mux(sound.encode(samples))
        output.mux(sound.encode(None))


def render(draw: Scene, clip: Clip) -> Iterator[VideoFrame]:
    for number in range(round(clip.seconds * RATE)):
        picture = Image.new("RGB", (clip.width * DETAIL, clip.height * DETAIL))
        draw(picture, number / RATE)
        frame: VideoFrame = VideoFrame.from_image(  # type: ignore[no-untyped-call]
            picture.resize((clip.width, clip.height), Image.Resampling.BOX)
        )
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        yield frame


def play(pitch: int, seconds: float) -> Iterator[AudioFrame]:
    graph = av.filter.Graph()
    steps = [
        graph.add("aevalsrc", f"exprs={TUNE.format(pitch=pitch)}:s={SOUND_RATE}:d={seconds}"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        graph.add("abuffersink"),
    ]
    for one, next_one in pairwise(steps):
        one.link_to(next_one)
    graph.configure()
    while True:
        try:
            frame = graph.pull()
        except (EOFError, BlockingIOError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame


def main(path: Path) -> None:
    """Make a video to try uploads with."""
    if not path.parent.is_dir():
        print(f"error: {path.parent} is not a folder", file=sys.stderr)
        raise typer.Exit(1)
    clip = Clip("lanterns", *PORTRAIT, 5, seed=1)
    write_clip(clip, path)
    print(f"{path}: {clip.scene}, {clip.width} x {clip.height}, {clip.seconds:g} s")


if __name__ == "__main__":
    typer.run(main)
