"""Covers at a time that the owner chose (docs/files.md, "Covers")."""

import io
import os
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from protos.media.v1 import videos_pb2 as pb
from services.media.files import deletions
from services.media.models import READY
from services.media.processing import jobs
from services.media.processing.sandbox.stills import covers
from services.media.videos import account_erasure
from services.objectstore.store import key_of
from tests.support import media as files
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import URL, Videos, a_file, change, delete, execute, get, publish, verbs_of

COLOURS = ("red", "lime", "blue", "white")  # one each second
RATE = 10


def clip(format: str = "mp4", seconds: int = len(COLOURS), keys: int = 100) -> bytes:
    """`keys`: frames from a key frame to the next."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"g": str(keys)})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(seconds * RATE):
            picture = Image.new("RGB", (64, 48), COLOURS[number // RATE])
            picture.paste(Image.frombytes("RGB", (16, 16), os.urandom(768)))  # no two frames are the same
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))
    return buffer.getvalue()


def colour_of(data: bytes) -> str:
    pixel: Any = Image.open(io.BytesIO(data)).convert("RGB").getpixel((30, 20))
    bright = tuple(part > 128 for part in pixel)
    names = {(True, False, False): "red", (False, True, False): "lime", (False, False, True): "blue"}
    return names.get(bright, "white")


@pytest.mark.parametrize(
    ("format", "extension", "keys"), [("mp4", "mp4", 100), ("mp4", "mp4", 7), ("mpegts", "ts", 100)]
)
def test_the_frame_is_the_one_shown_at_that_time(format: str, extension: str, keys: int, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "cover"
    source.write_bytes(clip(format, keys=keys))
    for at, colour in ((0, "red"), (950, "red"), (1_000, "lime"), (2_950, "blue"), (3_000, "white"), (99_000, "white")):
        covers.make(source, extension, target, tmp_path / "cuts", at=at)
        assert colour_of(target.read_bytes()) == colour, at


async def work(media: Videos) -> None:
    while job := await jobs._take(media.service):
        await jobs._do(media.service, job)


async def cover_of(media: Videos, url: str) -> str:
    file = url.partition("?")[0].rpartition("/")[2]
    return colour_of(b"".join([chunk async for chunk in media.service.storage.read(key_of(file))]))


async def uploaded(media: Videos, owner: int, data: bytes) -> str:
    """Ready at once: these tests need no other cover, and no other rendition."""
    object = await files.upload(_as_files(media), owner, data)
    await execute(media, "DELETE FROM job WHERE object_hash = :hash", hash=object.hash)
    await execute(media, "UPDATE object SET state = :ready WHERE hash = :hash", hash=object.hash, ready=READY)
    return object.path


def _as_files(media: Videos) -> Any:
    """The same service, for what tests of files have."""
    return media


async def stored(media: Videos, *urls: str) -> list[bool]:
    keys = await files.keys_of(_as_files(media))
    return [key_of(url.removeprefix("/media/").partition("?")[0]) in keys for url in urls]


async def test_it_is_shown_once_it_is_made(videos: Videos) -> None:
    owner, other = new_users(2)
    made = await publish(videos, owner, video_url=await uploaded(videos, owner, clip()), cover_at=2_500)
    assert made.cover_url == ""
    await work(videos)
    seen = await get(videos, other, made.video_id)
    assert seen
    assert await cover_of(videos, seen.cover_url) == "blue"
    assert (seen.cover_width, seen.cover_height, len(seen.blurhash)) == (64, 48, 28)
    changed = await change(videos, owner, made.video_id, cover_at=500)
    assert changed.cover_url == seen.cover_url  # until the other is made
    await work(videos)
    after = await get(videos, other, made.video_id)
    assert after
    assert await cover_of(videos, after.cover_url) == "red"
    assert after.blurhash != seen.blurhash
    assert "video.updated" in await verbs_of(videos, made.video_id)


async def test_a_cover_that_no_video_wants_goes(videos: Videos) -> None:
    owner = new_user()
    file = await uploaded(videos, owner, clip())
    video = await publish(videos, owner, video_url=file, cover_at=500)
    urls = []
    for at in (1_500, 99_000):
        await work(videos)
        urls.append((await get(videos, owner, video.video_id)).cover_url)  # type: ignore[union-attr]
        await change(videos, owner, video.video_id, cover_at=at)
    await work(videos)
    last = await get(videos, owner, video.video_id)
    assert last
    assert await cover_of(videos, last.cover_url) == "white"
    await deletions.drain(videos.service.database, videos.service.storage)
    assert await stored(videos, *urls) == [False] * 2
    profiles = "SELECT profile FROM {} WHERE profile LIKE 'cover-at-%' AND {} = :hash"
    for table, column in (("derivative", "source_hash"), ("job", "object_hash")):
        rows = await execute(videos, profiles.format(table, column), hash=file[7:71])
        assert [row.profile for row in rows] == ["cover-at-4000"]
    await change(videos, owner, video.video_id, cover_url="")
    back = await get(videos, owner, video.video_id)
    assert back
    assert back.cover_url == ""
    assert await change(videos, owner, video.video_id, cover_at=4_000) == await get(videos, owner, video.video_id)
    assert (await get(videos, owner, video.video_id)).cover_url == last.cover_url  # type: ignore[union-attr]


async def test_it_is_as_private_as_the_video_and_goes_with_it(videos: Videos) -> None:
    owner = new_user()
    file = await uploaded(videos, owner, clip())
    video = await publish(videos, owner, pb.PRIVATE, video_url=file, cover_at=1_500)
    await work(videos)
    seen = await get(videos, owner, video.video_id)
    assert seen
    assert "?exp=" in seen.cover_url
    await delete(videos, owner, video.video_id)
    await deletions.drain(videos.service.database, videos.service.storage)
    assert await stored(videos, seen.cover_url) == [False]
    kept = await execute(videos, "SELECT cover_at FROM video WHERE id = :id", id=video.video_id)
    assert kept[0].cover_at is None


async def test_an_erased_account_leaves_no_cover(videos: Videos) -> None:
    owner = new_user()
    video = await publish(videos, owner, video_url=await uploaded(videos, owner, clip()), cover_at=1_500)
    await work(videos)
    url = (await get(videos, owner, video.video_id)).cover_url  # type: ignore[union-attr]
    async with videos.service.database.transaction() as connection:
        await account_erasure.schedule(connection, owner)
    while await account_erasure.erase_batch(videos.service):
        pass
    await deletions.drain(videos.service.database, videos.service.storage)
    assert await stored(videos, url) == [False]


async def test_what_is_refused(videos: Videos) -> None:
    owner, other = new_users(2)
    file, picture = await a_file(videos, owner), await a_file(videos, owner, "png", "image")
    refused: list[dict[str, Any]] = [
        {"video_url": file, "cover_at": -1},
        {"video_url": file, "cover_at": 1, "cover_url": picture},
        {"video_url": URL, "cover_at": 1},
    ]
    for fields in refused:
        assert await refusal(publish(videos, owner, **fields)) == "VIDEO_INVALID"
    video = await publish(videos, owner, video_url=file)
    assert await refusal(change(videos, owner, video.video_id, cover_at=1, cover_url=picture)) == "VIDEO_INVALID"
    assert await refusal(change(videos, other, video.video_id, cover_at=1)) == "NOT_PERMITTED"
    await execute(videos, "DELETE FROM job WHERE object_hash = :hash", hash=file[7:71])


async def test_the_facts_are_those_of_the_cover_that_is_shown(videos: Videos) -> None:
    owner = new_user()
    file, picture = await a_file(videos, owner), await a_file(videos, owner, "png", "image")
    await execute(
        videos, "UPDATE object SET blurhash = 'own', width = 30, height = 20 WHERE hash = :hash", hash=picture[7:71]
    )
    for cover, facts in ((picture, ("own", 30, 20)), ("https://x.example/c.jpg", ("", 0, 0)), ("", ("LKO2", 0, 0))):
        made = await publish(videos, owner, video_url=file, cover_url=cover)
        assert (made.blurhash, made.cover_width, made.cover_height) == facts
        request = pb.BatchGetVideosRequest(video_ids=[made.video_id])
        assert (await act(owner, videos.videos.BatchGetVideos, request)).videos[0].blurhash == facts[0]
