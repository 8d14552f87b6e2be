"""Audio files as they are stored: without the words and pictures in their tags, and sounding as they did."""

import subprocess
from pathlib import Path

import av
import pytest

from services.media.files.filetypes import sniff
from services.media.processing.sandbox import recordings
from tests.media.processing.corpus import FFMPEG
from tests.support.media import recording

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="this machine has no ffmpeg to make the recordings with")
SECRET = "+12.3456-065.4321/"
TAGS = ("title", "artist", "comment", "location", "make", "description", "originator", "coding_history")
LIMITS = {"pixels": 50_000_000, "seconds": 60}
KINDS = {
    "mp3 with id3v2.3 and id3v1": ("mp3", "-c:a libmp3lame -id3v2_version 3 -write_id3v1 1"),
    "mp3 with id3v2.4": ("mp3", "-c:a libmp3lame -id3v2_version 4"),
    "mp3 with ape": ("mp3", "-c:a libmp3lame -write_apetag 1"),
    "m4a": ("m4a", "-c:a aac"),
    "flac": ("flac", "-c:a flac"),
    "vorbis": ("ogg", "-c:a libvorbis"),
    "opus": ("opus", "-c:a libopus"),
    "flac in ogg": ("ogg", "-c:a flac"),
    "wave with bext": ("wav", "-c:a pcm_s16le -write_bext 1"),
    "matroska": ("mka", "-c:a aac"),
    "windows media": ("wma", "-c:a wmav2"),
}


def played(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(frame.planes[0]) for frame in container.decode(audio=0)]


def inspect(path: Path) -> bool:
    """Whether it was changed."""
    type = sniff(path.read_bytes()[:4_096])
    assert type
    changed: bool = recordings.inspect(path, type.kind, type.format, LIMITS)["changed"]
    return changed


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_tells_is_gone(kind: str, tmp_path: Path) -> None:
    extension, options = KINDS[kind]
    path = tmp_path / f"sound.{extension}"
    tags = [word for tag in TAGS for word in ("-metadata", f"{tag}={SECRET}")]
    command = [FFMPEG or "", "-v", "error", "-f", "lavfi", "-i", "sine=d=1", *options.split(), *tags, str(path)]
    subprocess.run(command, check=True, timeout=60)
    before, words = played(path), (SECRET.encode(), SECRET.encode("utf-16-le"))
    assert any(word in path.read_bytes() for word in words)
    assert inspect(path)
    assert not any(word in path.read_bytes() for word in words)
    assert played(path) == before
    assert not inspect(path), "again, there is nothing to take out"


def test_the_picture_of_an_album_is_gone(tmp_path: Path) -> None:
    path, block = tmp_path / "sound.flac", SECRET.encode() * 20
    data = recording("flac", "flac")
    assert data[4] == 0, "the block of the stream's properties"
    path.write_bytes(data[:42] + b"\6" + len(block).to_bytes(3) + block + data[42:])
    before = played(path)
    assert inspect(path)
    assert SECRET.encode() not in path.read_bytes()
    assert played(path) == before


@pytest.mark.parametrize(
    "tag",
    [
        b"TAG" + bytes(3) + b"somebody".ljust(122, b"\0"),
        b"TAG+" + b"somebody".ljust(223, b"\0") + b"TAG" + b"x" * 125,
        b"LYRICSBEGIN" + b"somebody" + b"000019LYRICS200",
        b"somebody" + b"APETAGEX" + (2_000).to_bytes(4, "little") + (40).to_bytes(4, "little") + bytes(16),
    ],
)
def test_tags_at_the_end_of_an_mp3_are_cut_off(tag: bytes, tmp_path: Path) -> None:
    path, data = tmp_path / "sound.mp3", recording("mp3", "libmp3lame")
    path.write_bytes(data + tag * 2)
    assert inspect(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize(("format", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("wav", "pcm_s16le")])
def test_what_programs_say_of_themselves_stays(format: str, codec: str, tmp_path: Path) -> None:
    path, data = tmp_path / "sound", recording(format, codec)
    path.write_bytes(data)
    assert not inspect(path)
    assert path.read_bytes() == data
