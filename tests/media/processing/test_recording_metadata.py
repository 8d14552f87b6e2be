"""Recordings as they are stored: without what they tell of places, devices and people, and otherwise as they were."""

import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from services.media.files.filetypes import VIDEO, sniff
from services.media.processing.sandbox import recordings
from tests.media.processing.corpus import FFMPEG, PICTURES, TONE, X264

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="this machine has no ffmpeg to make the recordings with")
SECRET = "+12.3456-065.4321/"
NAMED = f"-metadata title={SECRET} -metadata comment={SECRET} -metadata artist={SECRET}"
PLACED = f"-metadata location={SECRET} -metadata make={SECRET}"
CAMCORDER = f"-bsf:v h264_metadata=sei_user_data=17ee8c60-f84d-11d9-8cd6-0800200c9a66+MDPM{SECRET * 15}"
STATION = f"-metadata service_name={SECRET} -metadata service_provider={SECRET}"
LIMITS = {"pixels": 50_000_000, "seconds": 60}


def make(path: Path, options: str, *inputs: str) -> bytes:
    sources = ["-f", "lavfi", "-i", PICTURES, "-f", "lavfi", "-i", TONE, *inputs]
    command = [FFMPEG or "", "-v", "error", "-y", *sources, *options.split(), "-threads", "1", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path.read_bytes()


def strip(path: Path) -> bytes:
    """What is stored of it, which plays as before."""
    before = played(path)
    type = sniff(path.read_bytes()[:4_096])
    assert type
    facts = recordings.inspect(path, VIDEO, type.format, LIMITS)
    assert facts["changed"]
    assert played(path) == before
    assert not recordings.inspect(path, VIDEO, type.format, LIMITS)["changed"], "again, there is nothing to take out"
    return path.read_bytes()


def played(path: Path) -> list[tuple[Any, bytes]]:
    with av.open(str(path)) as container:
        return [(frame.pts, bytes(frame.planes[0])) for frame in container.decode(video=0)]


KINDS = {
    "flash": ("flv", f"{X264} -c:a aac -ar 44100 {NAMED} {PLACED}"),
    "windows media": ("wmv", f"-c:v wmv2 -c:a wmav2 {NAMED} {PLACED}"),
    "theora": ("ogv", f"-c:v libtheora -c:a libvorbis {NAMED} {PLACED}"),
    "a transport stream": (
        "ts",
        f"{X264} -c:a aac {STATION}",
    ),
    "m2ts": ("ts", f"{X264} -c:a ac3 -f mpegts -mpegts_m2ts_mode 1 {STATION}"),
    "a camcorder's": ("ts", f"{X264} -c:a ac3 -f mpegts -mpegts_m2ts_mode 1 {CAMCORDER}"),
    "a camcorder's in mp4": ("mp4", f"{X264} -c:a aac {CAMCORDER}"),
    "a camcorder's in matroska": ("mkv", f"{X264} -c:a aac {CAMCORDER}"),
    "matroska": ("mkv", f"{X264} -c:a aac {NAMED} {PLACED}"),
    "matroska with a font": ("mkv", f"{X264} -c:a aac -attach {{file}} -metadata:s:t mimetype=text/plain"),
    "avi": ("avi", f"-c:v mpeg4 -c:a libmp3lame {NAMED} {PLACED}"),
    "mp4": ("mp4", f"{X264} -c:a aac {NAMED} {PLACED}"),
    "mp4 with keys": ("mp4", f"{X264} -c:a aac -movflags use_metadata_tags {NAMED} {PLACED}"),
    "quicktime": ("mov", f"{X264} -c:a aac {NAMED} {PLACED}"),
    "mp4 of a camera that names itself": ("mp4", f"{X264} -c:a aac -metadata:s:a handler_name={SECRET}"),
    "quicktime of a camera that names itself": ("mov", f"{X264} -c:a aac -metadata:s:v handler_name={SECRET}"),
    "quicktime of an encoder that names itself": ("mov", f"{X264} -c:a aac -metadata:s:v encoder={SECRET}"),
    "matroska with a named track": ("mkv", f"{X264} -c:a aac -metadata:s:a title={SECRET}"),
    "avi with a named stream": ("avi", f"-c:v mpeg4 -c:a libmp3lame -metadata:s:v title={SECRET}"),
    "realmedia": ("rm", f"-c:v rv20 -s 176x144 -c:a ac3 {NAMED}"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_tells_is_gone(kind: str, tmp_path: Path) -> None:
    extension, options = KINDS[kind]
    attached = tmp_path / "attached.txt"
    attached.write_text(SECRET)
    path = tmp_path / f"source.{extension}"
    data = make(path, options.format(file=attached))
    assert found(data)
    assert not found(strip(path))


def found(data: bytes) -> bool:
    return any(SECRET[:10].encode(form) in data for form in ("ascii", "utf-16-le"))


def subtitles(folder: Path) -> Path:
    path = folder / "places.srt"
    path.write_text("".join(f"{n}\n00:00:00,{n}00 --> 00:00:00,{n}90\nGPS {SECRET}\n\n" for n in range(1, 9)))
    return path


@pytest.mark.parametrize("fragments", ["+faststart", "+frag_keyframe+empty_moov", "+frag_keyframe+delay_moov"])
@pytest.mark.parametrize("handler", [b"sbtl", b"meta", b"camm"])
def test_a_track_of_places_is_gone(fragments: str, handler: bytes, tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    data = make(path, f"{X264} -g 8 -c:a aac -c:s mov_text -movflags {fragments}", "-i", str(subtitles(tmp_path)))
    assert found(data)
    path.write_bytes(data.replace(b"sbtl", handler))
    assert not found(strip(path))


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


@pytest.mark.parametrize("kind", [b"uuid", b"emsg", b"meta", b"XMP_", b"free"])
def test_a_box_beside_the_recording_is_empty(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    path.write_bytes(make(path, f"{X264} -c:a aac") + box(kind, bytes(16) + SECRET.encode()))
    assert not found(strip(path))


def test_a_box_with_a_long_size_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    told = struct.pack(">I4sQ", 1, b"uuid", 16 + 16 + len(SECRET)) + bytes(16) + SECRET.encode()
    path.write_bytes(make(path, f"{X264} -c:a aac") + told + box(b"free", b""))
    assert not found(strip(path))


def in_packets(pid: int) -> Callable[[bytes], bytes]:
    """After each packet of a transport stream another of a stream that nobody plays."""

    def change(data: bytes) -> bytes:
        told = struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10) + SECRET.encode().ljust(184, b"\xff")
        return b"".join(data[at : at + 188] + told for at in range(0, len(data), 188))

    return change


@pytest.mark.parametrize("pid", [0x11, 0x14, 0x1F0, 0x1001])
def test_the_streams_that_nobody_plays_are_gone(pid: int, tmp_path: Path) -> None:
    path = tmp_path / "source.ts"
    path.write_bytes(in_packets(pid)(make(path, f"{X264} -c:a aac")))
    assert not found(strip(path))


@pytest.mark.parametrize("extension", ["nut", "wtv"])
def test_what_is_put_into_another_format_loses_it(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"source.{extension}"
    assert found(make(path, f"-c:v mpeg2video -c:a mp2 {NAMED} {PLACED}"))
    type = sniff(path.read_bytes()[:4_096])
    assert type
    facts = recordings.inspect(path, VIDEO, type.format, LIMITS)
    assert (facts["extension"], facts["changed"], found(path.read_bytes())) == ("mov", True, False)
    assert len(played(path)) == 30


def test_what_programs_keep_in_a_program_stream_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "source.mpg"
    whole = make(path, "-c:v mpeg2video -c:a mp2")
    told = struct.pack(">IH", 0x1BF, len(SECRET)) + SECRET.encode()
    at = whole.index(b"\0\0\1\xba", 100)
    path.write_bytes(whole[:at] + told + whole[at:])
    assert not found(strip(path))


@pytest.mark.parametrize(
    ("extension", "options", "name"),
    [
        ("flv", f"{X264} -c:a aac -ar 44100", rb"Lavf\d"),
        ("mp4", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -an", rb"Lavc[\d.]+ libvpx-vp9"),
    ],
)
def test_what_programs_say_of_themselves_stays(extension: str, options: str, name: bytes, tmp_path: Path) -> None:
    """So that a file which tells nothing stays as it is (test_corpus.py sees that of each kind)."""
    path = tmp_path / f"source.{extension}"
    data = make(path, options)
    assert re.search(name, data)
    type = sniff(data)
    assert type
    assert not recordings.inspect(path, VIDEO, type.format, LIMITS)["changed"]
    assert path.read_bytes() == data
