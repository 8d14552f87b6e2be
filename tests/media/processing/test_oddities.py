"""Recordings whose times, packets or tracks are not as their format would have them, as FFmpeg plays them."""

import os
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from services.media.files.filetypes import AUDIO, VIDEO, sniff
from services.media.processing.sandbox import recordings, renditions
from services.media.processing.sandbox.stills import covers
from tests.media.processing.corpus import FFMPEG, PICTURES, TONE, X264, X265
from tests.media.processing.test_corpus import LIMITS

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="this machine has no ffmpeg to make the recordings with")
VIDEO_INPUT, SOUND_INPUT = f"-f lavfi -i {PICTURES}", f"-f lavfi -i {TONE}"


def made(path: Path, options: str) -> bytes:
    """Skips the test where this FFmpeg lacks an encoder."""
    command = [FFMPEG or "", "-v", "error", "-y", *options.split(), "-threads", "1", str(path)]
    try:
        subprocess.run(command, check=True, timeout=60, capture_output=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine's ffmpeg cannot make it: {error.stderr[-200:]!r}")
    return path.read_bytes()


def shown(path: Path) -> tuple[dict[str, Any], list[float]]:
    """What the inspection tells, and the time of each picture that players get."""
    type = sniff(path.read_bytes()[:4_096])
    assert type
    facts = recordings.inspect(path, VIDEO, type.format, LIMITS)
    answer = renditions.make(path, type.extension, path.with_name("target"), path.with_name("cuts"))
    return facts, times(path.with_name("target") if answer["extension"] else path)


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0) if frame.time is not None]


def test_pieces_that_were_joined_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    piece = made(path, f"{VIDEO_INPUT} {SOUND_INPUT} -c:v mpeg2video -q:v 2 -bf 2 -c:a mp2")
    path.write_bytes(piece + piece)
    facts, found = shown(path)
    assert found == pytest.approx([found[0] + number / 30 for number in range(60)], abs=0.04)
    assert facts["duration"] == pytest.approx(2_000, abs=60)


def test_pictures_that_share_a_packet_have_times_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "packed.avi"
    made(path, f"{VIDEO_INPUT} {SOUND_INPUT} -c:v libxvid -bf 2 -q:v 3 -c:a libmp3lame")
    _, found = shown(path)
    assert len(found) >= 28
    assert found == pytest.approx([found[0] + number / 30 for number in range(len(found))], abs=0.001)


def test_packets_that_no_container_takes_are_encoded(tmp_path: Path) -> None:
    path = tmp_path / "lost.ts"
    data = made(path, f"{VIDEO_INPUT} {SOUND_INPUT} {X264} -c:a aac")
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    path.write_bytes(b"".join(packet for number, packet in enumerate(packets) if number < 20 or number % 40 != 20))
    _, found = shown(path)
    assert len(found) >= 25


@pytest.mark.parametrize("options", [f"{X264} -c:a aac", f"{X265} -c:a ac3"])
def test_there_is_a_cover_although_no_place_can_be_sought(options: str, tmp_path: Path) -> None:
    path, target = tmp_path / "one-group.ts", tmp_path / "cover"
    made(path, f"{VIDEO_INPUT} {SOUND_INPUT} {options}")
    covers.make(path, "ts", target, tmp_path / "cuts")
    with Image.open(target) as picture:
        assert picture.size == (160, 90)


@pytest.mark.parametrize(
    ("extension", "options"), [("avi", "pcm_s16le"), ("flv", "libmp3lame -ar 44100"), ("ts", "aac")]
)
def test_sound_alone_gets_a_container_of_its_own(extension: str, options: str, tmp_path: Path) -> None:
    path = tmp_path / f"sound.{extension}"
    type = sniff(made(path, f"{SOUND_INPUT} -c:a {options}")[:4_096])
    assert type
    facts = recordings.inspect(path, VIDEO, type.format, LIMITS)
    assert (facts["extension"], facts["has_video"], facts["changed"]) == ("mka", False, True)
    assert facts["duration"] == pytest.approx(1_000, abs=60)
    with av.open(str(path), format="matroska") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) / container.streams.audio[
            0
        ].rate == pytest.approx(1, abs=0.06)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_aac_may_begin_with_tags(tmp_path: Path) -> None:
    path = tmp_path / "radio.aac"
    data = made(path, f"{SOUND_INPUT} -c:a aac -write_id3v2 1 -metadata title=SECRET")
    assert data.startswith(b"ID3")
    type = sniff(data)
    assert type
    facts = recordings.inspect(path, AUDIO, type.format, LIMITS)
    assert (facts["extension"], facts["codec"], facts["changed"]) == ("aac", "aac", True)
    assert b"SECRET" not in path.read_bytes()


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("mp4", "-c:v libx264 -qp 0 -pix_fmt yuv420p -movflags +faststart"),
        ("webm", "-c:v libvpx-vp9 -pix_fmt yuv444p -deadline realtime"),
        ("webm", "-c:v libvpx-vp9 -pix_fmt yuv420p10le -deadline realtime -color_trc smpte2084 -colorspace bt2020nc"),
    ],
)
def test_what_few_devices_decode_is_encoded(extension: str, options: str, tmp_path: Path) -> None:
    path = tmp_path / f"source.{extension}"
    made(path, f"{VIDEO_INPUT} {options}")
    assert renditions.make(path, extension, tmp_path / "target", tmp_path / "cuts")["extension"] == "mp4"
    with av.open(str(tmp_path / "target")) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.profile, context.color_trc != 16) == ("yuv420p", "High", True)


def test_a_matroska_that_begins_late_is_whole(tmp_path: Path) -> None:
    """Its length is told from time 0, which is not where it begins."""
    path = tmp_path / "late.mkv"
    made(path, f"{VIDEO_INPUT} {SOUND_INPUT} {X264} -c:a aac -output_ts_offset 30")
    facts, found = shown(path)
    assert facts["duration"] == pytest.approx(1_000, abs=60)
    assert found == pytest.approx([found[0] + number / 30 for number in range(30)], abs=0.001)
    assert found[0] < 0.1


@pytest.mark.parametrize("codec", ["h263", "mpeg4"])
def test_what_telephones_recorded_before(tmp_path: Path, codec: str) -> None:
    """3GP with AMR, for which FFmpeg's own program has no encoder here, but the wheel of PyAV has."""
    path = tmp_path / "old.3gp"
    with av.open(str(path), "w", format="3gp") as container:
        pictures: Any = container.add_stream(codec, rate=15)
        sounds: Any = container.add_stream("libopencore_amrnb", rate=8_000)
        pictures.width, pictures.height, pictures.pix_fmt, sounds.layout = 176, 144, "yuv420p", "mono"
        for number in range(15):
            frame = av.VideoFrame.from_image(Image.effect_noise((176, 144), 60).convert("RGB"))  # type: ignore[no-untyped-call]
            frame.pts = number
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        for number in range(50):
            sound = av.AudioFrame("s16", "mono", 160)
            sound.planes[0].update(os.urandom(320))
            sound.sample_rate, sound.pts = 8_000, number * 160
            container.mux(sounds.encode(sound))
        container.mux(sounds.encode(None))
    facts, found = shown(path)
    assert facts["codec"] == f"{codec}/amr_nb"
    assert found == pytest.approx([number / 15 for number in range(15)], abs=0.001)
    with av.open(str(tmp_path / "target")) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
