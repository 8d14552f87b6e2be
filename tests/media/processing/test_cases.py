"""Recordings of the kinds that once went wrong, from upload to what is served of them (cases/README.md)."""

import io
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageStat

from protos.media.v1 import objects_pb2 as pb
from services.media.models import READY
from tests.support.media import Running, keys_of, settled, upload
from tests.support.social import new_user

CASES = Path(__file__).parent / "cases"
MILLISECOND = 0.001


async def content(media: Running, path: str) -> bytes:
    file = path.partition("?")[0].rpartition("/")[2]
    return b"".join([chunk async for chunk in media.service.storage.read(f"{file[:2]}/{file}")])


async def process(media: Running, name: str) -> pb.Object:
    user = new_user()
    done = await settled(media, user, (await upload(media, user, (CASES / name).read_bytes())).hash, 30)
    assert (done.state, done.reason) == (READY, "")
    return done


async def played(media: Running, done: pb.Object) -> bytes:
    """The bytes that a player gets."""
    return await content(media, done.playback_path or done.path)


def pictures(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(video=0))


def times(data: bytes) -> list[float]:
    return [frame.time for frame in pictures(data)]


async def test_a_dropped_frame_leaves_the_others_in_their_places(media: Running) -> None:
    data = await played(media, await process(media, "hevc-one-dropped-frame.mov"))
    right = [number / 30 for number in range(120) if number != 30]
    assert times(data) == pytest.approx(right, abs=MILLISECOND)
    with av.open(io.BytesIO(data), "r") as container:
        assert container.duration == pytest.approx(4_000_000, abs=1_000)


async def test_packets_without_decoding_times_are_all_kept(media: Running) -> None:
    data = await played(media, await process(media, "h264-bframes-3s-gop.mkv"))
    shown = pictures(data)
    assert shown[0].key_frame
    assert [frame.time for frame in shown] == pytest.approx([n / 30 for n in range(180)], abs=MILLISECOND)


async def test_av1_is_copied(media: Running) -> None:
    data = await played(media, await process(media, "av1-moov-last.mp4"))
    assert len(pictures(data)) == 30
    with av.open(io.BytesIO(data), "r") as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "av1"


async def test_a_cover_shows_something_although_all_follows_one_key_frame(media: Running) -> None:
    done = await process(media, "fade-from-black-one-keyframe.mp4")
    cover = Image.open(io.BytesIO(await content(media, done.cover_path))).convert("L")
    assert ImageStat.Stat(cover).mean[0] > 60
    assert ImageStat.Stat(cover).stddev[0] > 40


async def test_a_place_is_in_no_byte_that_is_stored(media: Running) -> None:
    assert b"+00.0000+000.0000/" in (CASES / "gps-tag.mp4").read_bytes()
    done = await process(media, "gps-tag.mp4")
    assert len(pictures(await played(media, done))) == 30
    for key in await keys_of(media):
        data = b"".join([chunk async for chunk in media.service.storage.read(key)])
        assert b"+00.0000+000.0000/" not in data
        assert b"ISO6709" not in data


async def test_wide_pixels_are_shown_wide(media: Running) -> None:
    done = await process(media, "anamorphic-mpeg2.mkv")
    assert (done.width, done.height) == (205, 116)
    with av.open(io.BytesIO(await played(media, done)), "r") as container:
        stream = container.streams.video[0]
        assert round(stream.width * float(stream.sample_aspect_ratio or 1)) == 205
        assert stream.height == 116
    cover = Image.open(io.BytesIO(await content(media, done.cover_path)))
    assert cover.size == (205, 116)


async def test_a_browser_s_recording_gets_a_duration_and_can_be_sought(media: Running) -> None:
    source = (CASES / "mediarecorder-no-duration.webm").read_bytes()
    with av.open(io.BytesIO(source), "r") as container:
        assert container.duration is None
    done = await process(media, "mediarecorder-no-duration.webm")
    with av.open(io.BytesIO(await played(media, done)), "r") as container:
        assert container.duration is not None
        assert container.duration / 1000 == pytest.approx(done.duration, abs=60)
        codecs = [stream.codec_context.codec.canonical_name for stream in container.streams]
        assert codecs == ["vp8", "opus"], "nothing is encoded again"
    assert b"\x1c\x53\xbb\x6b" in await played(media, done), "no index of cues"
