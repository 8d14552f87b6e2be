"""What is made of recordings of every kind is what FFmpeg itself shows and sounds of them (corpus.py makes them)."""

import array
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest

from services.media.files.filetypes import VIDEO, sniff
from services.media.processing.sandbox import recordings, renditions
from tests.media.processing import corpus
from tests.media.processing.corpus import FFMPEG
from tests.media.processing.corpus_matrix import MATRIX

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="this machine has no ffmpeg to make the corpus with")
KINDS = corpus.KINDS | (MATRIX if os.environ.get("HITOK_CORPUS") else {})  # `make corpus` sets it
LIMITS = {"pixels": 50_000_000, "seconds": 60}
RATE, WINDOW = 8_000, 400  # samples a second, and of a twentieth of a second
# How FFmpeg is to decode what it would show otherwise than players do.
REFERENCES = {"interlaced": "bwdif=mode=send_frame:deint=interlaced,"}


class Made(NamedTuple):
    source: Path
    shown: Path  # what players get
    facts: dict[str, Any]
    made: dict[str, Any]


def process(name: str, folder: Path) -> Made:
    kind = KINDS[name]
    source, target = folder / f"source.{kind.extension}", folder / "target.mp4"
    try:
        corpus.make(kind, source)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine's ffmpeg cannot make it: {error}")
    type = sniff(source.read_bytes()[:4_096])
    assert type
    assert (type.extension, type.kind) == (kind.extension, VIDEO)
    original = folder / f"original.{kind.extension}"
    shutil.copy(source, original)
    facts = recordings.inspect(source, VIDEO, type.format, LIMITS)
    extension = facts.get("extension", type.extension)
    if type.format not in recordings.REWRAPPED:
        assert source.read_bytes() == original.read_bytes(), "it tells nothing of people"
    made = renditions.make(source, extension, target, folder / "cuts.mp4")
    return Made(original, target if made["extension"] else original, facts, made)


@pytest.mark.parametrize("name", KINDS)
def test_pictures_and_sound_are_those_of_ffmpeg(name: str, tmp_path: Path) -> None:
    result = process(name, tmp_path)
    check_times(result)
    alike = likeness(name, result)
    if name not in ("hdr10", "hlg"):
        assert alike >= KINDS[name].alike
    if alike < 1:  # it was encoded
        check_tagged(result.shown)
    if KINDS[name].sound:
        check_sound(result)


def check_times(result: Made) -> None:
    """That no picture is lost or doubled, and each is shown when it was."""
    shown, right = times(result.shown), times(result.source)
    assert len(shown) == len(right)
    assert shown == pytest.approx(right, abs=0.0011)


def times(path: Path) -> list[float]:
    """As FFmpeg: from the first of all streams on."""
    found: list[float] = []
    with av.open(str(path)) as container:
        start = container.start_time
        for packet in container.demux(video=0):
            try:
                found += [frame.time for frame in packet.decode() if frame.time is not None]
            except av.error.InvalidDataError:
                continue
    begins = found[0] if start is None else start / 1_000_000
    return [time - begins for time in found]


def likeness(name: str, result: Made) -> float:
    """SSIM, between the pictures at their size, one by one: check_times has compared their times."""
    with av.open(str(result.shown)) as container:
        width, height = (getattr(container.streams.video[0], side) for side in ("width", "height"))
    if result.shown == result.source:
        return 1.0
    form = f"settb=1/30,setpts=N,scale={width}:{height}:out_range=tv:out_color_matrix=bt601,format=yuv420p"
    graph = f"[0:v]{form}[made];[1:v]{REFERENCES.get(name, '')}{form}[right];[made][right]ssim"
    inputs = ["-i", str(result.shown), "-i", str(result.source)]
    command = [FFMPEG or "", *inputs, "-lavfi", graph, "-an", "-f", "null", "-"]
    report = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    found = re.search(r"SSIM.*All:([\d.]+)", report)
    assert found
    return float(found[1])


def check_tagged(path: Path) -> None:
    """That it says in which colours it is."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert 2 not in (context.color_primaries, context.color_trc, context.colorspace)
        assert context.color_range == 1


def check_sound(result: Made) -> None:
    """As loud as FFmpeg's at each moment, and as long."""
    made, right = loudness(result.shown), loudness(result.source)
    assert len(made) == pytest.approx(len(right), abs=2)
    different = sum(abs(one - other) > 0.15 * max(right) for one, other in zip(made, right, strict=False))
    assert different <= 2 + len(right) // 20, (made, right)


def loudness(path: Path) -> list[float]:
    """Of both channels, or the only one."""
    with av.open(str(path)) as container:
        layout = "mono" if container.streams.audio[0].channels == 1 else "stereo"
    graph = f"aresample={RATE}:async=1:first_pts=0,aformat=sample_fmts=flt:channel_layouts={layout}"
    command = [FFMPEG or "", "-v", "error", "-i", str(path), "-map", "0:a:0", "-af", graph, "-f", "f32le", "-"]
    samples = array.array("f", subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    window = WINDOW * (1 if layout == "mono" else 2)
    windows = (samples[at : at + window] for at in range(0, len(samples) - window, window))
    return [(sum(sample * sample for sample in samples) / window) ** 0.5 for samples in windows]


@pytest.mark.parametrize("name", ["hdr10", "hlg"])
def test_hdr_is_neither_grey_nor_dark(name: str, tmp_path: Path) -> None:
    result = process(name, tmp_path)
    with av.open(str(result.shown)) as container:
        image = next(container.decode(video=0)).to_image()  # type: ignore[no-untyped-call]
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
    colours = [image.getpixel((x, 70)) for x in range(5, 160, 5)]
    assert max(max(colour) - min(colour) for colour in colours) > (200 if name == "hdr10" else 120)


def test_what_is_copied_is_not_encoded(tmp_path: Path) -> None:
    result = process("h264 with sound for studios", tmp_path)
    with av.open(str(result.source)) as before, av.open(str(result.shown)) as after:
        packets = [[bytes(packet) for packet in file.demux(video=0)] for file in (before, after)]
        assert after.streams.audio[0].codec_context.codec.canonical_name == "aac"
    assert packets[0] == packets[1]


def test_the_default_track_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    inputs = [
        "-f",
        "lavfi",
        "-i",
        corpus.PICTURES,
        "-f",
        "lavfi",
        "-i",
        "anullsrc=d=1",
        "-f",
        "lavfi",
        "-i",
        corpus.TONE,
    ]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-shortest", "-disposition:a:0", "0", "-disposition:a:1", "default"]
    subprocess.run([FFMPEG or "", "-v", "error", *inputs, *maps, "-c:v", "mpeg4", "-c:a", "ac3", str(path)], check=True)
    recordings.inspect(path, VIDEO, "matroska", LIMITS)
    renditions.make(path, "mkv", tmp_path / "target.mp4", tmp_path / "cuts.mp4")
    assert max(loudness(tmp_path / "target.mp4")) > 0.03
