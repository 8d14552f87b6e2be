"""What cannot be played is refused with the reason that it has, not as broken."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from services.media.files.filetypes import VIDEO, sniff
from services.media.processing.sandbox import recordings
from services.media.processing.sandbox.limits import Refused
from tests.media.processing.corpus import FFMPEG, PICTURES, TONE, X264

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="this machine has no ffmpeg to make the recordings with")
LIMITS = {"pixels": 50_000_000, "seconds": 60}
KEY = "-encryption_scheme cenc-aes-ctr -encryption_key {0} -encryption_kid {0}".format(
    "76a6c65c5ea762046bd749a2e632ccbb"
)
FRAGMENTS = "-movflags +frag_keyframe+empty_moov"


def as_it_is(data: bytes) -> bytes:
    return data


def cut(data: bytes) -> bytes:
    return data[: len(data) // 3]


def cut_within(size: int) -> Callable[[bytes], bytes]:
    """In the middle of a packet of that size."""
    return lambda data: data[: len(data) // 3 // size * size + size // 2]


def unknown(codec: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(codec, b"V_" + b"Z" * (len(codec) - 2) if len(codec) > 4 else b"zzzz")


KINDS: dict[str, tuple[str, str, Callable[[bytes], bytes], str]] = {
    "encrypted": ("mp4", f"{X264} -c:a aac {KEY}", as_it_is, "ENCRYPTED"),
    "encrypted in fragments": ("mp4", f"{X264} -c:a aac {KEY} {FRAGMENTS}", as_it_is, "ENCRYPTED"),
    "pictures of no decoder": ("mp4", f"{X264} -c:a aac", unknown(b"avc1"), "CODEC"),
    "pictures of no decoder in matroska": ("mkv", f"{X264} -c:a aac", unknown(b"V_MPEG4/ISO/AVC"), "CODEC"),
    "a third of an mp4": ("mp4", f"{X264} -c:a aac", cut, "TRUNCATED"),
    "a third of an mp4 whose index is first": ("mp4", f"{X264} -c:a aac -movflags +faststart", cut, "TRUNCATED"),
    "a third of a fragmented mp4": ("mp4", f"{X264} -g 5 -c:a aac {FRAGMENTS}", cut, "TRUNCATED"),
    "a third of a matroska": ("mkv", f"{X264} -c:a aac", cut, "TRUNCATED"),
    "a third of an avi": ("avi", "-c:v mpeg4 -c:a libmp3lame", cut, "TRUNCATED"),
    "a third of a flash video": ("flv", f"{X264} -c:a aac -ar 44100", cut, "TRUNCATED"),
    "a third of a theora": ("ogv", "-c:v libtheora -c:a libvorbis", cut, "TRUNCATED"),
    "a third of a transport stream": ("ts", f"{X264} -c:a aac", cut_within(188), "TRUNCATED"),
    "a third of m2ts": ("ts", f"{X264} -c:a ac3 -f mpegts -mpegts_m2ts_mode 1", cut_within(192), "TRUNCATED"),
    "a third of a program stream": ("mpg", "-c:v mpeg2video -c:a mp2", cut_within(2_048), "TRUNCATED"),
    "a third of an mxf": ("mxf", "-r 25 -c:v mpeg2video -ar 48000 -c:a pcm_s16le", cut, "TRUNCATED"),
    "a third of a windows media": ("wmv", "-c:v wmv2 -c:a wmav2", cut, "TRUNCATED"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_why(kind: str, tmp_path: Path) -> None:
    extension, options, change, reason = KINDS[kind]
    path = tmp_path / f"source.{extension}"
    seconds = "6" if reason == "TRUNCATED" else "1"  # a shorter stretch may be missing by mistake
    inputs = ["-f", "lavfi", "-i", f"{PICTURES[:-1]}{seconds}", "-f", "lavfi", "-i", f"{TONE[:-1]}{seconds}"]
    command = [FFMPEG or "", "-v", "error", "-y", *inputs, *options.split(), "-threads", "1", str(path)]
    subprocess.run(command, check=True, timeout=60)
    path.write_bytes(change(path.read_bytes()))
    type = sniff(path.read_bytes()[:4_096])
    assert type
    with pytest.raises(Refused) as refusal:
        recordings.inspect(path, VIDEO, type.format, LIMITS)
    assert refusal.value.code == reason
